"""The Service resource. A service contains conversations, Users and roles. roles.py defines its four default roles.

See docs/behaviour/services.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from convoke.domain.conversations import MAX_NAME_CHARACTERS, check_friendly_name
from convoke.domain.errors import FriendlyNameMissingError
from convoke.domain.instants import Instant
from convoke.domain.json_schema import string_schema
from convoke.domain.model import Model


class Service(Model):
    """A stored chat service and its configuration. The rules of the configuration are in `service_configuration.py`."""

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
        """The role of a participant who creates a conversation.

        If no role is configured, the participant gets the conversation admin role of the service.
        """
        return self.default_conversation_creator_role_sid or self.conversation_admin_role_sid

    @property
    def member_role_sid(self) -> str:
        """The role of a new participant.

        If no role is configured, the participant gets the conversation user role of the service.
        """
        return self.default_conversation_role_sid or self.conversation_user_role_sid

    @property
    def user_role_sid(self) -> str:
        """The role of a new user. If no role is configured, the user gets the service user role of the service."""
        return self.default_chat_service_role_sid or self.service_user_role_sid

    @property
    def role_sids(self) -> frozenset[str]:
        """The SIDs of the four default roles. The default roles exist as long as the service exists."""
        return frozenset(
            (
                self.service_admin_role_sid,
                self.service_user_role_sid,
                self.conversation_admin_role_sid,
                self.conversation_user_role_sid,
            )
        )

    @property
    def configured_role_sids(self) -> frozenset[str]:
        """The SIDs of the roles that new participants and new Users get. These roles cannot be deleted."""
        return frozenset((self.creator_role_sid, self.member_role_sid, self.user_role_sid))


class DeletedService(Model):
    """The tombstone of a service. The sweeper processes the tombstone until the items of the service are deleted."""

    service: Service
    date_removed: Instant
    due_at: Instant
    """The time at which the sweeper must process the tombstone next."""
    attempts: int = 0
    """The number of times that the sweeper has processed the tombstone.

    The pause before the next sweep grows with this number. If a sweep ends because its time is over, the number becomes
    0, unless a deletion has failed in this sweep. The sweep has made progress, so the next sweep should start without a
    pause.
    """


def check_required_name(name: str | None) -> str:
    if not name:
        raise FriendlyNameMissingError
    return check_friendly_name(name)


RequiredName = Annotated[
    str, BeforeValidator(check_required_name), string_schema(MAX_NAME_CHARACTERS, min_characters=1)
]


class NewService(Model):
    """The parameters of a request that creates a service."""

    # With `validate_default`, a missing name causes the same error as an empty name.
    friendly_name: RequiredName = Field(default="", validate_default=True)
