"""The roles of a chat user determine which actions the API permits. See docs/behaviour/roles.md#permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from convoke.domain.media import Category
from convoke.domain.permissions import RULES, Action, Decision, decide
from convoke.domain.roles import PERMISSIONS, Permission, Role, RoleType
from tests.support.chat_users import ChatResponse, ChatUser, chat_conversation, role_with
from tests.support.instances import EmbeddedInstance

SMS = {"address": "+15558675310", "proxy_address": "+15017122661"}


@dataclass
class Scene:
    """A conversation with the participant bob. Alice sends the requests, and can be a participant too."""

    alice: ChatUser
    conversation_sid: str
    own: bool
    """Whether alice changes her own message, participant or User. Otherwise she changes bob's."""

    @property
    def path(self) -> str:
        return self.alice.conversation(self.conversation_sid)

    @property
    def target(self) -> str:
        """The identity of the user whose message, participant or User alice changes."""
        return "alice" if self.own else "bob"

    @property
    def message(self) -> str:
        messages = self.alice.instance.client().conversations.v1.conversations(self.conversation_sid).messages
        return f"{self.path}/Messages/{messages.create(author=self.target, body='x').sid}"

    @property
    def media_sid(self) -> str:
        """The SID of a new media resource. Each read of this property uploads one media resource as alice."""
        operations = self.alice.instance.engine.program
        service = operations.services.fetch(self.alice.instance.account.sid, self.alice.service_sid)
        upload = operations.media.begin(service, Category.MEDIA, "alice")
        return upload.complete("image/png", None).sid

    def post(self, path: str, **body: Any) -> ChatResponse:
        return self.alice.call("POST", path, body)

    def delete(self, path: str) -> ChatResponse:
        return self.alice.call("DELETE", path)


CALLS: dict[Action, Callable[[Scene], ChatResponse]] = {
    Action.CREATE_CONVERSATION: lambda it: it.post("/Conversations"),
    Action.JOIN_CONVERSATION: lambda it: it.post(f"{it.path}/Participants", identity="alice"),
    Action.DELETE_CONVERSATION: lambda it: it.delete(it.path),
    Action.RENAME_CONVERSATION: lambda it: it.post(it.path, friendly_name="x"),
    Action.EDIT_CONVERSATION_ATTRIBUTES: lambda it: it.post(it.path, attributes="{}"),
    Action.ADD_PARTICIPANT: lambda it: it.post(f"{it.path}/Participants", identity="carol"),
    Action.ADD_NON_CHAT_PARTICIPANT: lambda it: it.post(f"{it.path}/Participants", messaging_binding=SMS),
    Action.REMOVE_PARTICIPANT: lambda it: it.delete(f"{it.path}/Participants/{it.target}"),
    Action.EDIT_PARTICIPANT_ATTRIBUTES: lambda it: it.post(f"{it.path}/Participants/{it.target}", attributes="{}"),
    Action.EDIT_NOTIFICATION_LEVEL: lambda it: it.post(
        f"/Users/{it.alice.sid}/Conversations/{it.conversation_sid}", notification_level="muted"
    ),
    Action.SEND_MESSAGE: lambda it: it.post(f"{it.path}/Messages", body="x"),
    Action.SEND_MEDIA: lambda it: it.post(f"{it.path}/Messages", media_sids=[it.media_sid]),
    Action.EDIT_MESSAGE: lambda it: it.post(it.message, body="y"),
    Action.EDIT_MESSAGE_ATTRIBUTES: lambda it: it.post(it.message, attributes="{}"),
    Action.DELETE_MESSAGE: lambda it: it.delete(it.message),
    Action.EDIT_USER: lambda it: it.post(f"/Users/{it.target}", friendly_name="x"),
}

NEEDS_MEMBER = frozenset({Action.EDIT_NOTIFICATION_LEVEL})
"""Actions that only a participant can perform. The permission of a service role is not enough."""

OUTCOMES = {Decision.NOT_PERMITTED: (403, 50107), Decision.NOT_A_PARTICIPANT: (403, 50430)}


def roles_for(instance: EmbeddedInstance, action: Action, role_type: RoleType) -> Iterator[Role]:
    """Create and yield a role without a suitable permission, and then one role for each suitable permission.

    All roles have the type `role_type`. A permission is suitable if it permits the action and roles of this type can
    have the permission.
    """
    rule = RULES[action]
    other = {
        RoleType.SERVICE: (Permission.JOIN_CONVERSATION, Permission.EDIT_ANY_USER_INFO),
        RoleType.CONVERSATION: (Permission.SEND_MESSAGE, Permission.EDIT_ANY_USER_INFO),
    }[role_type]
    useless = next(permission for permission in other if permission not in (rule.permission, rule.own))
    operations = instance.engine.program
    service = operations.services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
    for permission in (useless, rule.permission, rule.own):
        if permission in PERMISSIONS[role_type]:
            yield operations.roles.fetch(service, role_with(instance, role_type, permission))


def test_every_action_has_a_call() -> None:
    assert CALLS.keys() == set(Action)


@pytest.mark.parametrize("action", Action)
def test_call_is_permitted_exactly_if_the_roles_permit_it(embedded: EmbeddedInstance, action: Action) -> None:
    v1 = embedded.client().conversations.v1
    alice = ChatUser(embedded, "alice")
    outcomes = set()
    for service_role in roles_for(embedded, action, RoleType.SERVICE):
        v1.users("alice").update(role_sid=service_role.sid)
        for conversation_role in (None, *roles_for(embedded, action, RoleType.CONVERSATION)):
            for own in (False, True) if RULES[action].own else (False,):
                sid = chat_conversation(embedded, "bob", *(["alice"] if conversation_role else []))
                if conversation_role:
                    v1.conversations(sid).participants("alice").update(role_sid=conversation_role.sid)
                answer = CALLS[action](Scene(alice, sid, own))
                role_there = conversation_role if RULES[action].in_conversation else None
                decision = decide(action, service_role, role_there, own=own)
                if action in NEEDS_MEMBER and conversation_role is None:
                    decision = Decision.NOT_A_PARTICIPANT
                context = (service_role.permissions, conversation_role and conversation_role.permissions, own)
                found = answer.error if answer.status == 403 else None
                assert found == OUTCOMES.get(decision), context
                if decision is Decision.PERMITTED:
                    assert answer.status < 400 or answer.status in (404, 409), (context, answer)
                outcomes.add(decision)
                # The next conversation needs the same address pair. Therefore release the pair.
                if action is Action.ADD_NON_CHAT_PARTICIPANT:
                    v1.conversations(sid).delete()
    assert Decision.PERMITTED in outcomes
    assert outcomes > {Decision.PERMITTED}
