"""The Service resource, with the four roles each starts with (reference, a.13 to a.15)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from convoke.domain.conversations import check_friendly_name
from convoke.domain.errors import FriendlyNameMissingError
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
