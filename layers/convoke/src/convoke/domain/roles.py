"""The Role resource: the permissions of Users in a service, or of participants in conversations.

Each service has four default roles. Convoke does not store the default roles, but computes them from the service. See
docs/behaviour/roles.md.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from convoke.domain.errors import (
    ConversationsError,
    FriendlyNameMissingError,
    FriendlyNameTooLongError,
    InvalidParameterError,
    UnknownPermissionError,
    UnknownRoleTypeError,
)
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, word_schema
from convoke.domain.model import Model
from convoke.domain.services import RequiredName, Service


class RoleType(StrEnum):
    """Who can have a role: the Users of a service, or the participants of a conversation."""

    CONVERSATION = "conversation"
    SERVICE = "service"


class Permission(StrEnum):
    ADD_NON_CHAT_PARTICIPANT = "addNonChatParticipant"
    ADD_PARTICIPANT = "addParticipant"
    CREATE_CONVERSATION = "createConversation"
    DELETE_ANY_MESSAGE = "deleteAnyMessage"
    DELETE_CONVERSATION = "deleteConversation"
    DELETE_OWN_MESSAGE = "deleteOwnMessage"
    EDIT_ANY_MESSAGE = "editAnyMessage"
    EDIT_ANY_MESSAGE_ATTRIBUTES = "editAnyMessageAttributes"
    EDIT_ANY_PARTICIPANT_ATTRIBUTES = "editAnyParticipantAttributes"
    EDIT_ANY_USER_INFO = "editAnyUserInfo"
    EDIT_CONVERSATION_ATTRIBUTES = "editConversationAttributes"
    EDIT_CONVERSATION_NAME = "editConversationName"
    EDIT_NOTIFICATION_LEVEL = "editNotificationLevel"
    EDIT_OWN_MESSAGE = "editOwnMessage"
    EDIT_OWN_MESSAGE_ATTRIBUTES = "editOwnMessageAttributes"
    EDIT_OWN_PARTICIPANT_ATTRIBUTES = "editOwnParticipantAttributes"
    EDIT_OWN_USER_INFO = "editOwnUserInfo"
    JOIN_CONVERSATION = "joinConversation"
    LEAVE_CONVERSATION = "leaveConversation"
    REMOVE_PARTICIPANT = "removeParticipant"
    SEND_MEDIA_MESSAGE = "sendMediaMessage"
    SEND_MESSAGE = "sendMessage"


P = Permission

ONLY_IN_CONVERSATIONS = frozenset(
    {
        P.DELETE_OWN_MESSAGE,
        P.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
        P.LEAVE_CONVERSATION,
        P.SEND_MEDIA_MESSAGE,
        P.SEND_MESSAGE,
    }
)
"""The permissions that a role of type `service` cannot have."""

ONLY_IN_SERVICES = frozenset({P.CREATE_CONVERSATION, P.JOIN_CONVERSATION})
"""The permissions that a role of type `conversation` cannot have."""

PERMISSIONS = {
    RoleType.CONVERSATION: frozenset(Permission) - ONLY_IN_SERVICES,
    RoleType.SERVICE: frozenset(Permission) - ONLY_IN_CONVERSATIONS,
}
"""Maps each type of role to the permissions that a role of this type can have."""

SERVICE_ADMIN_PERMISSIONS = (
    P.CREATE_CONVERSATION,
    P.JOIN_CONVERSATION,
    P.DELETE_CONVERSATION,
    P.EDIT_CONVERSATION_ATTRIBUTES,
    P.EDIT_CONVERSATION_NAME,
    P.ADD_PARTICIPANT,
    P.REMOVE_PARTICIPANT,
    P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
    P.EDIT_ANY_MESSAGE,
    P.EDIT_ANY_MESSAGE_ATTRIBUTES,
    P.DELETE_ANY_MESSAGE,
    P.EDIT_ANY_USER_INFO,
)
SERVICE_USER_PERMISSIONS = (P.CREATE_CONVERSATION, P.JOIN_CONVERSATION, P.EDIT_OWN_USER_INFO)
CHANNEL_ADMIN_PERMISSIONS = (
    P.ADD_PARTICIPANT,
    P.ADD_NON_CHAT_PARTICIPANT,
    P.REMOVE_PARTICIPANT,
    P.DELETE_CONVERSATION,
    P.EDIT_CONVERSATION_NAME,
    P.EDIT_CONVERSATION_ATTRIBUTES,
    P.SEND_MESSAGE,
    P.SEND_MEDIA_MESSAGE,
    P.LEAVE_CONVERSATION,
    P.EDIT_ANY_MESSAGE,
    P.EDIT_ANY_MESSAGE_ATTRIBUTES,
    P.EDIT_ANY_PARTICIPANT_ATTRIBUTES,
    P.DELETE_ANY_MESSAGE,
    P.EDIT_NOTIFICATION_LEVEL,
)
CHANNEL_USER_PERMISSIONS = (
    P.SEND_MESSAGE,
    P.SEND_MEDIA_MESSAGE,
    P.LEAVE_CONVERSATION,
    P.EDIT_OWN_MESSAGE,
    P.EDIT_OWN_MESSAGE_ATTRIBUTES,
    P.DELETE_OWN_MESSAGE,
    P.EDIT_OWN_PARTICIPANT_ATTRIBUTES,
    P.EDIT_NOTIFICATION_LEVEL,
)


class Role(Model):
    """A role of a service: one of its four default roles, or a stored role."""

    account_sid: str
    chat_service_sid: str
    sid: str
    friendly_name: str
    type: RoleType
    permissions: tuple[Permission, ...]
    date_created: Instant
    date_updated: Instant


def default_roles(service: Service) -> tuple[Role, ...]:
    """Return the four default roles of a service.

    The friendly names must never change, because applications look up these roles by their friendly names.
    """
    roles = (
        (service.service_admin_role_sid, "service admin", RoleType.SERVICE, SERVICE_ADMIN_PERMISSIONS),
        (service.service_user_role_sid, "service user", RoleType.SERVICE, SERVICE_USER_PERMISSIONS),
        (service.conversation_admin_role_sid, "channel admin", RoleType.CONVERSATION, CHANNEL_ADMIN_PERMISSIONS),
        (service.conversation_user_role_sid, "channel user", RoleType.CONVERSATION, CHANNEL_USER_PERMISSIONS),
    )
    return tuple(
        Role(
            account_sid=service.account_sid,
            chat_service_sid=service.sid,
            sid=sid,
            friendly_name=name,
            type=role_type,
            permissions=permissions,
            date_created=service.date_created,
            date_updated=service.date_created,
        )
        for sid, name, role_type, permissions in roles
    )


# Parameters


def parse_type(text: str) -> RoleType:
    try:
        return RoleType(text.lower())
    except ValueError as error:
        raise UnknownRoleTypeError from error


def parse_permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError as error:
        raise UnknownPermissionError(wanted=f"one of {', '.join(Permission)}") from error


def check_permissions(permissions: tuple[Permission, ...]) -> tuple[Permission, ...]:
    """Return the permissions without duplicates. Raise an error if there are no permissions."""
    if not permissions:
        raise InvalidParameterError(wanted="given at least once")
    return tuple(dict.fromkeys(permissions))


Type = Annotated[RoleType, BeforeValidator(parse_type), word_schema(RoleType, IN_EITHER_CASE)]
Permissions = Annotated[
    tuple[Annotated[Permission, BeforeValidator(parse_permission), word_schema(Permission)], ...],
    AfterValidator(check_permissions),
]


def refuse_other_permissions(role_type: RoleType, permissions: tuple[Permission, ...]) -> None:
    """Raise an error if `permissions` contains a permission that a role of the type `role_type` cannot have."""
    allowed = PERMISSIONS[role_type]
    if not allowed.issuperset(permissions):
        names = ", ".join(sorted(allowed))
        raise UnknownPermissionError(field="permission", wanted=f"permissions of a role of type {role_type}: {names}")


Errors = tuple[type[ConversationsError], ...]
"""An alias, because in the model below the field `type` hides the built-in function `type`."""


class NewRole(Model):
    """The parameters of a request that creates a role."""

    order_of_checks: ClassVar[Errors] = (
        FriendlyNameMissingError,
        FriendlyNameTooLongError,
        UnknownRoleTypeError,
        UnknownPermissionError,
    )

    # With `validate_default`, a missing parameter causes the same error as an empty parameter.
    friendly_name: RequiredName = Field(default="", validate_default=True)
    type: Type = Field(default="", validate_default=True)
    permission: Permissions = Field(default=(), validate_default=True)

    @model_validator(mode="after")
    def check(self) -> Self:
        refuse_other_permissions(self.type, self.permission)
        return self

    def role(self, service: Service, sid: str, moment: datetime) -> Role:
        """Return the role to store."""
        return Role(
            account_sid=service.account_sid,
            chat_service_sid=service.sid,
            sid=sid,
            friendly_name=self.friendly_name,
            type=self.type,
            permissions=self.permission,
            date_created=moment,
            date_updated=moment,
        )


class RoleChange(Model):
    """The parameters of a request that updates a role. The new permissions replace all old permissions."""

    order_of_checks: ClassVar[Errors] = (UnknownPermissionError,)

    permission: Permissions = Field(default=(), validate_default=True)

    def applied_to(self, role: Role, moment: datetime) -> Role:
        """Return the changed role. Raise an error if a role of this type cannot have a requested permission."""
        refuse_other_permissions(role.type, self.permission)
        return role.model_copy(update={"permissions": self.permission, "date_updated": max(moment, role.date_updated)})
