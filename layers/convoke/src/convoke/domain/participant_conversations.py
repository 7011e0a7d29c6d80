"""What somebody is a member of (reference, a.10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, model_validator

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import ConversationsError, IdentityWithAddressError, InvalidParameterError
from convoke.domain.model import Model
from convoke.domain.participants import KnownBy, Participant
from convoke.domain.users import user_sid

NotEmpty = Annotated[str | None, AfterValidator(lambda text: text or None)]
"""An empty text is none."""


class ParticipantConversationFilters(Model):
    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (IdentityWithAddressError,)

    identity: NotEmpty = None
    address: NotEmpty = None

    @model_validator(mode="after")
    def check(self) -> Self:
        if self.identity and self.address:
            raise IdentityWithAddressError(parameter="Address")
        if not self.identity and not self.address:
            raise InvalidParameterError(parameter="Identity", wanted="given unless Address is given")
        return self

    @property
    def known_by(self) -> KnownBy:
        return KnownBy("identity", self.identity) if self.identity else KnownBy("address", self.address or "")


@dataclass(frozen=True, slots=True)
class ParticipantConversation:
    """A conversation, and the member of it that was asked for."""

    conversation: Conversation
    participant: Participant

    @property
    def is_shown(self) -> bool:
        """Members are in a moment before a conversation leaves `initializing`, a state that this resource lacks."""
        return self.conversation.date_removed is None and self.conversation.state is not State.INITIALIZING

    @property
    def user_sid(self) -> str | None:
        identity = self.participant.identity
        return user_sid(self.conversation.chat_service_sid, identity) if identity else None
