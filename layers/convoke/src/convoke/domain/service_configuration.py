"""The configuration of a service: the roles of new participants and users, and whether clients see who is online.

See docs/behaviour/configuration.md#service-configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.errors import (
    ConversationsError,
    InvalidParameterError,
    RoleSidMissingError,
    UnknownConversationRoleError,
    UnknownServiceRoleError,
)
from convoke.domain.json_schema import IN_EITHER_CASE, sid_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.roles import RoleType
from convoke.domain.sids import Prefix


def check_not_empty(role_sid: str) -> str:
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


DefaultRoleSid = Annotated[str, AfterValidator(check_not_empty), sid_schema(Prefix.ROLE)]

Boolean = Annotated[bool, BeforeValidator(parse_boolean), word_schema(["true", "false"], IN_EITHER_CASE)]


class ServiceConfigurationChange(Model):
    """The parameters of a request that updates the configuration of a service.

    An update changes only the fields in `model_fields_set`.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (RoleSidMissingError,)

    default_conversation_creator_role_sid: DefaultRoleSid | None = None
    default_conversation_role_sid: DefaultRoleSid | None = None
    default_chat_service_role_sid: DefaultRoleSid | None = None
    reachability_enabled: Boolean = False

    @property
    def role_sids(self) -> frozenset[str]:
        """The SIDs of the roles in the request."""
        named = (
            self.default_conversation_creator_role_sid,
            self.default_conversation_role_sid,
            self.default_chat_service_role_sid,
        )
        return frozenset(sid for sid in named if sid)

    def problems(self, types: Mapping[str, RoleType]) -> list[ConversationsError]:
        """Return an error for each role in the request that does not exist or has the wrong type.

        `types` maps the SIDs of existing roles to the types of these roles.
        """
        found: list[ConversationsError] = [
            UnknownConversationRoleError(field=(name,))
            for name in ("default_conversation_creator_role_sid", "default_conversation_role_sid")
            if (role_sid := getattr(self, name)) and types.get(role_sid) is not RoleType.CONVERSATION
        ]
        user_role_sid = self.default_chat_service_role_sid
        if user_role_sid and types.get(user_role_sid) is not RoleType.SERVICE:
            found.append(UnknownServiceRoleError(field="default_chat_service_role_sid"))
        return found
