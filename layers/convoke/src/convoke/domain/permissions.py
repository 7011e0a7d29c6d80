"""Determine whether the roles of a chat user permit an action.

Requests with the credentials of an account need no permission. domain/roles.py lists the permissions of the default
roles. See docs/behaviour/roles.md#permissions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from convoke.domain.roles import Permission, Role


class Decision(StrEnum):
    PERMITTED = "permitted"
    NOT_PERMITTED = "not permitted"
    NOT_A_PARTICIPANT = "not a participant"
    """The action concerns a conversation, and the user is not a participant of this conversation."""


class Rule(NamedTuple):
    """The permissions that permit an action. The user needs `permission` or, for the user's own resources, `own`."""

    permission: Permission
    own: Permission | None = None
    """The permission that permits the action only on the user's own message, participant or User."""
    in_conversation: bool = True
    """Whether the user must be a participant, unless the user's role in the service permits the action."""


class Action(StrEnum):
    """The actions for which a chat user needs a permission."""

    CREATE_CONVERSATION = "create a conversation"
    JOIN_CONVERSATION = "join a conversation"
    DELETE_CONVERSATION = "delete a conversation"
    RENAME_CONVERSATION = "change the names of a conversation"
    EDIT_CONVERSATION_ATTRIBUTES = "change the attributes of a conversation"
    ADD_PARTICIPANT = "add another chat participant"
    ADD_NON_CHAT_PARTICIPANT = "add an address"
    REMOVE_PARTICIPANT = "remove a participant, or leave"
    EDIT_PARTICIPANT_ATTRIBUTES = "change the attributes of a participant"
    EDIT_NOTIFICATION_LEVEL = "change the own notification level"
    SEND_MESSAGE = "send a message"
    SEND_MEDIA = "send a message with media"
    EDIT_MESSAGE = "change the body of a message"
    EDIT_MESSAGE_ATTRIBUTES = "change the attributes of a message"
    DELETE_MESSAGE = "delete a message"
    EDIT_USER = "change a User"


RULES = {
    Action.CREATE_CONVERSATION: Rule(Permission.CREATE_CONVERSATION, in_conversation=False),
    Action.JOIN_CONVERSATION: Rule(Permission.JOIN_CONVERSATION, in_conversation=False),
    Action.DELETE_CONVERSATION: Rule(Permission.DELETE_CONVERSATION),
    Action.RENAME_CONVERSATION: Rule(Permission.EDIT_CONVERSATION_NAME),
    Action.EDIT_CONVERSATION_ATTRIBUTES: Rule(Permission.EDIT_CONVERSATION_ATTRIBUTES),
    Action.ADD_PARTICIPANT: Rule(Permission.ADD_PARTICIPANT),
    Action.ADD_NON_CHAT_PARTICIPANT: Rule(Permission.ADD_NON_CHAT_PARTICIPANT),
    Action.REMOVE_PARTICIPANT: Rule(Permission.REMOVE_PARTICIPANT, own=Permission.LEAVE_CONVERSATION),
    Action.EDIT_PARTICIPANT_ATTRIBUTES: Rule(
        Permission.EDIT_ANY_PARTICIPANT_ATTRIBUTES, own=Permission.EDIT_OWN_PARTICIPANT_ATTRIBUTES
    ),
    Action.EDIT_NOTIFICATION_LEVEL: Rule(Permission.EDIT_NOTIFICATION_LEVEL),
    Action.SEND_MESSAGE: Rule(Permission.SEND_MESSAGE),
    Action.SEND_MEDIA: Rule(Permission.SEND_MEDIA_MESSAGE),
    Action.EDIT_MESSAGE: Rule(Permission.EDIT_ANY_MESSAGE, own=Permission.EDIT_OWN_MESSAGE),
    Action.EDIT_MESSAGE_ATTRIBUTES: Rule(
        Permission.EDIT_ANY_MESSAGE_ATTRIBUTES, own=Permission.EDIT_OWN_MESSAGE_ATTRIBUTES
    ),
    Action.DELETE_MESSAGE: Rule(Permission.DELETE_ANY_MESSAGE, own=Permission.DELETE_OWN_MESSAGE),
    Action.EDIT_USER: Rule(Permission.EDIT_ANY_USER_INFO, own=Permission.EDIT_OWN_USER_INFO, in_conversation=False),
}


def decide(action: Action, service_role: Role, conversation_role: Role | None, *, own: bool = False) -> Decision:
    """Return whether a user may do `action`.

    `service_role` is the role of the User. Its permissions are valid in every conversation of the service.
    `conversation_role` is the role of the user's participant in the conversation. `conversation_role` is None if there
    is no such participant. If a role was deleted, pass the role from the service's configuration instead.

    `own` is True if the action concerns the user's own message, participant or User.
    """
    rule = RULES[action]
    sufficient = {rule.permission, *([rule.own] if own and rule.own else [])}
    if sufficient.intersection(service_role.permissions):
        return Decision.PERMITTED
    if conversation_role is None:
        return Decision.NOT_A_PARTICIPANT if rule.in_conversation else Decision.NOT_PERMITTED
    permitted = sufficient.intersection(conversation_role.permissions)
    return Decision.PERMITTED if permitted else Decision.NOT_PERMITTED
