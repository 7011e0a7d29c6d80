"""The parameters of requests that create or update a conversation.

See docs/behaviour/conversations.md#parameters.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from convoke.domain.conversations import (
    STARTING_STATES,
    ClosedTimer,
    Conversation,
    ConversationAttributes,
    EmailBinding,
    EmailField,
    FriendlyName,
    InactiveTimer,
    MessagingServiceSid,
    State,
    Timers,
    UniqueName,
    parse_initial_state,
    parse_state,
)
from convoke.domain.dates import DateCreated, DateUpdated
from convoke.domain.errors import (
    AttributesNotJsonError,
    AttributesTooLongError,
    ClosedTimerTooShortError,
    ConversationsError,
    FriendlyNameTooLongError,
    InactiveTimerTooShortError,
    InitialStateClosedError,
    InvalidClosedTimerError,
    InvalidDateCreatedError,
    InvalidDateUpdatedError,
    InvalidInactiveTimerError,
    InvalidMessagingServiceSidError,
    StateEmptyError,
    StateUnknownError,
    UniqueNameLooksLikeSidError,
    UniqueNameTooLongError,
)
from convoke.domain.json_schema import IN_EITHER_CASE, word_schema
from convoke.domain.model import Model


class ConversationParameters(Model):
    """The parameters that creating and updating a conversation share.

    See docs/behaviour/conversations.md#order-of-parameter-checks.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        FriendlyNameTooLongError,
        UniqueNameTooLongError,
        AttributesTooLongError,
        AttributesNotJsonError,
        InvalidDateCreatedError,
        InvalidDateUpdatedError,
        UniqueNameLooksLikeSidError,
        StateEmptyError,
        StateUnknownError,
        InitialStateClosedError,
        InvalidInactiveTimerError,
        InvalidClosedTimerError,
        InactiveTimerTooShortError,
        ClosedTimerTooShortError,
        InvalidMessagingServiceSidError,
    )

    friendly_name: FriendlyName | None = None
    unique_name: UniqueName | None = None
    attributes: ConversationAttributes = "{}"
    date_created: DateCreated | None = None
    date_updated: DateUpdated | None = None
    timers_inactive: InactiveTimer = timedelta(0)
    timers_closed: ClosedTimer = timedelta(0)
    messaging_service_sid: MessagingServiceSid | None = None
    bindings_email_address: EmailField | None = None
    bindings_email_name: EmailField | None = None

    def timers(self, before: Timers) -> Timers:
        """Return the timers of a conversation that had the timers `before`."""
        return before.model_copy(update=self._given(inactive="timers_inactive", closed="timers_closed"))

    def email(self, before: EmailBinding | None) -> EmailBinding | None:
        """Return the e-mail binding of a conversation that had the binding `before`; None if it is empty."""
        given = self._given(projected_address="bindings_email_address", name="bindings_email_name")
        email = (before or EmailBinding()).model_copy(update=given)
        return None if email == EmailBinding() else email

    def _given(self, **fields: str) -> dict[str, object]:
        """Return the values of the fields that were given, under the names that they have in another model."""
        return {name: getattr(self, field) for name, field in fields.items() if field in self.model_fields_set}


class NewConversation(ConversationParameters):
    """The parameters of a request that creates a conversation."""

    state: Annotated[State, BeforeValidator(parse_initial_state), word_schema(STARTING_STATES, IN_EITHER_CASE)] = (
        State.ACTIVE
    )


NEXT_STATE_SCHEMA = word_schema(
    [*STARTING_STATES, State.CLOSED], f"{IN_EITHER_CASE} A closed conversation stays closed."
)


class ConversationChange(ConversationParameters):
    """The parameters of an update. A field that was not given stays as it is: see `model_fields_set`."""

    state: Annotated[State, BeforeValidator(parse_state), NEXT_STATE_SCHEMA] | None = None

    @property
    def changes_only_state(self) -> bool:
        return self.model_fields_set == {"state"}

    def changes_nothing(self, conversation: Conversation) -> bool:
        """Return whether the request gives nothing, or only the state that the conversation already has."""
        return not self.model_fields_set or (self.changes_only_state and self.state is conversation.state)

    def applied_to(self, conversation: Conversation, moment: datetime) -> Conversation:
        """Return the changed conversation with both timers restarted.

        The date of update never goes back, even if the clock does or if the request gives an earlier date.
        """
        copied = {"friendly_name", "unique_name", "attributes", "date_created", "messaging_service_sid", "state"}
        update = {
            **self.model_dump(include=copied, exclude_unset=True),
            "date_updated": max(self.date_updated or moment, conversation.date_updated),
            "timers": self.timers(conversation.timers),
            "email": self.email(conversation.email),
        }
        return conversation.model_copy(update=update).with_timers_from(moment)
