"""What a client may say of a conversation when it creates or updates one (reference, a.1 and b.7 step 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.attributes import check_attributes
from convoke.domain.conversations import (
    MAX_CONVERSATION_ATTRIBUTES_BYTES,
    Conversation,
    EmailBinding,
    State,
    Timers,
    check_email_field,
    check_friendly_name,
    check_messaging_service_sid,
    check_unique_name,
    parse_closed_timer,
    parse_inactive_timer,
    parse_initial_state,
    parse_state,
)
from convoke.domain.dates import date_validator
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
from convoke.domain.instants import Instant
from convoke.domain.model import Model


class ConversationParameters(Model):
    """What a client may say of a conversation, whatever it asks for. The order of checks: reference, b.7 step 3."""

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

    friendly_name: Annotated[str, AfterValidator(check_friendly_name)] | None = None
    unique_name: Annotated[str, AfterValidator(check_unique_name)] | None = None
    attributes: Annotated[
        str, AfterValidator(lambda value: check_attributes(value, MAX_CONVERSATION_ATTRIBUTES_BYTES))
    ] = "{}"
    date_created: Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))] | None = None
    date_updated: Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))] | None = None
    timers_inactive: Annotated[timedelta, BeforeValidator(parse_inactive_timer)] = timedelta(0)
    timers_closed: Annotated[timedelta, BeforeValidator(parse_closed_timer)] = timedelta(0)
    messaging_service_sid: Annotated[str, AfterValidator(check_messaging_service_sid)] | None = None
    bindings_email_address: Annotated[str, AfterValidator(check_email_field)] | None = None
    bindings_email_name: Annotated[str, AfterValidator(check_email_field)] | None = None

    def timers(self, standing: Timers) -> Timers:
        """Those of a conversation that has `standing` ones, of which it keeps what was not given."""
        return standing.model_copy(update=self._given(inactive="timers_inactive", closed="timers_closed"))

    def email(self, standing: EmailBinding | None) -> EmailBinding | None:
        """The same for the sender; None where nothing is left of it."""
        given = self._given(projected_address="bindings_email_address", name="bindings_email_name")
        email = (standing or EmailBinding()).model_copy(update=given)
        return None if email == EmailBinding() else email

    def _given(self, **fields: str) -> dict[str, object]:
        """The values of those fields that were given, under the names they have elsewhere."""
        return {name: getattr(self, field) for name, field in fields.items() if field in self.model_fields_set}


class NewConversation(ConversationParameters):
    """What a client asks for when it creates a conversation."""

    state: Annotated[State, BeforeValidator(parse_initial_state)] = State.ACTIVE


class ConversationChange(ConversationParameters):
    """What an update asks for; a field that was not given stays as it is (look at `model_fields_set`)."""

    state: Annotated[State, BeforeValidator(parse_state)] | None = None

    @property
    def changes_only_state(self) -> bool:
        return self.model_fields_set == {"state"}

    def changes_nothing(self, conversation: Conversation) -> bool:
        """Whether nothing was given, or nothing but the state that it is in (reference, a.1 and e.1)."""
        return not self.model_fields_set or (self.changes_only_state and self.state is conversation.state)

    def applied_to(self, conversation: Conversation, moment: datetime) -> Conversation:
        """The conversation as it is from `moment` on, with both timers restarted (reference, e.3).

        Its date of update never goes back: neither for a clock that does, nor for an earlier one that was given.
        """
        copied = {"friendly_name", "unique_name", "attributes", "date_created", "messaging_service_sid", "state"}
        update = {
            **self.model_dump(include=copied, exclude_unset=True),
            "date_updated": max(self.date_updated or moment, conversation.date_updated),
            "timers": self.timers(conversation.timers),
            "email": self.email(conversation.email),
        }
        return conversation.model_copy(update=update).with_timers_from(moment)
