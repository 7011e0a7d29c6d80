"""The Service resource, with the four roles each starts with (reference, a.13 to a.15)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from convoke.domain.conversations import check_friendly_name
from convoke.domain.errors import (
    ConversationsError,
    FriendlyNameMissingError,
    InvalidParameterError,
    RoleSidMissingError,
    UnknownConversationRoleError,
    UnknownServiceRoleError,
)
from convoke.domain.instants import Instant
from convoke.domain.model import Model


class Service(Model):
    """A chat service as it is stored."""

    account_sid: str
    sid: str
    friendly_name: str
    date_created: Instant
    date_updated: Instant
    service_admin_role_sid: str
    service_user_role_sid: str
    conversation_admin_role_sid: str
    conversation_user_role_sid: str

    default_conversation_creator_role_sid: str | None = None
    default_conversation_role_sid: str | None = None
    default_chat_service_role_sid: str | None = None
    reachability_enabled: bool = False

    @property
    def creator_role_sid(self) -> str:
        """Of whoever creates a conversation: what was configured, or what the service started with."""
        return self.default_conversation_creator_role_sid or self.conversation_admin_role_sid

    @property
    def member_role_sid(self) -> str:
        """The same for whoever is added to one."""
        return self.default_conversation_role_sid or self.conversation_user_role_sid

    @property
    def user_role_sid(self) -> str:
        """The same for a new user."""
        return self.default_chat_service_role_sid or self.service_user_role_sid

    @property
    def service_role_sids(self) -> frozenset[str]:
        """The roles that a user may be given."""
        return frozenset((self.service_admin_role_sid, self.service_user_role_sid))

    @property
    def conversation_role_sids(self) -> frozenset[str]:
        """The roles that a participant may be given."""
        return frozenset((self.conversation_admin_role_sid, self.conversation_user_role_sid))


def check_required_name(name: str | None) -> str:
    if not name:
        raise FriendlyNameMissingError
    return check_friendly_name(name)


class NewService(Model):
    """What a client asks for when it creates a service."""

    friendly_name: Annotated[str, BeforeValidator(check_required_name)] = Field(default="", validate_default=True)


def check_given(role_sid: str) -> str:
    if not role_sid:
        raise RoleSidMissingError
    return role_sid


def parse_boolean(value: object) -> bool:
    match str(value).lower():
        case "true":
            return True
        case "false":
            return False
    raise InvalidParameterError(wanted="true or false")


RoleSid = Annotated[str, AfterValidator(check_given)]


class ServiceConfigurationChange(Model):
    """What an update of the configuration asks for (reference, a.15); what was not given stays as it is."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (RoleSidMissingError,)

    default_conversation_creator_role_sid: RoleSid | None = None
    default_conversation_role_sid: RoleSid | None = None
    default_chat_service_role_sid: RoleSid | None = None
    reachability_enabled: Annotated[bool, BeforeValidator(parse_boolean)] = False

    def problems(self, service: Service) -> list[ConversationsError]:
        """Roles that the service does not have, or has in the other scope."""
        creator, member = self.default_conversation_creator_role_sid, self.default_conversation_role_sid
        of_conversations = {"DefaultConversationCreatorRoleSid": creator, "DefaultConversationRoleSid": member}
        found: list[ConversationsError] = [
            UnknownConversationRoleError(parameter=name)
            for name, role_sid in of_conversations.items()
            if role_sid and role_sid not in service.conversation_role_sids
        ]
        user = self.default_chat_service_role_sid
        if user and user not in service.service_role_sids:
            found.append(UnknownServiceRoleError(parameter="DefaultChatServiceRoleSid"))
        return found
