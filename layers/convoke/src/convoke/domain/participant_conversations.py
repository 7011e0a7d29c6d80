"""The ParticipantConversation resource: a conversation in which a given identity or address participates.

See docs/behaviour/participant-conversations.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, WithJsonSchema, model_validator

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import ConversationsError, IdentityWithAddressError, InvalidParameterError
from convoke.domain.model import Model
from convoke.domain.participants import KnownBy, Participant
from convoke.domain.users import user_sid

FilterValue = Annotated[
    str | None,
    AfterValidator(lambda text: text or None),
    WithJsonSchema({"type": "string", "minLength": 1, "description": "Either Identity or Address is required."}),
]
"""A filter of the list. An empty value counts as a missing filter."""


class ParticipantConversationFilters(Model):
    """The parameters of the list. A request must contain `identity` or `address`, but not both."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (IdentityWithAddressError,)

    identity: FilterValue = None
    address: FilterValue = None

    @model_validator(mode="after")
    def check(self) -> Self:
        if self.identity and self.address:
            raise IdentityWithAddressError(field="address")
        if not self.identity and not self.address:
            raise InvalidParameterError(field="identity", wanted="given unless Address is given")
        return self

    @property
    def known_by(self) -> KnownBy:
        return KnownBy("identity", self.identity) if self.identity else KnownBy("address", self.address or "")


@dataclass(frozen=True, slots=True)
class ParticipantConversation:
    """A conversation, and the participant with the requested identity or address."""

    conversation: Conversation
    participant: Participant

    @property
    def is_shown(self) -> bool:
        """Whether the list shows the conversation. The list hides `initializing` and deleted conversations.

        The index can contain participants of an `initializing` conversation, because Convoke stores the participants
        before it changes the state.
        """
        return self.conversation.date_removed is None and self.conversation.state is not State.INITIALIZING

    @property
    def user_sid(self) -> str | None:
        identity = self.participant.identity
        return user_sid(self.conversation.chat_service_sid, identity) if identity else None
