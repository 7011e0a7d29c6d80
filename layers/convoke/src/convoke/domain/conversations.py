"""The Conversation resource: its states, the rules of its parameters (reference, a.1, b.7 step 3, e)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.attributes import check_attributes
from convoke.domain.dates import date_validator
from convoke.domain.durations import parse_duration
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
    InvalidParameterError,
    StateEmptyError,
    StateUnknownError,
    UniqueNameLooksLikeSidError,
    UniqueNameTooLongError,
)
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid

LONGEST_NAME = 256
"""Characters of a friendly or unique name (reference, f.1 and h 21)."""

LONGEST_ATTRIBUTES = 16 * 1024
"""Bytes (reference, f.1)."""

SHORTEST_INACTIVE_TIMER = timedelta(minutes=1)
SHORTEST_CLOSED_TIMER = timedelta(minutes=10)


class State(StrEnum):
    INITIALIZING = "initializing"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"


class Timers(Model):
    """Lengths, kept so that a timer can be restarted; zero means switched off (reference, e.3)."""

    inactive: timedelta = timedelta(0)
    closed: timedelta = timedelta(0)


class EmailBinding(Model):
    """The sender that members on e-mail see."""

    projected_address: str | None = None
    name: str | None = None


class Conversation(Model):
    """A conversation as it is stored. What follows `timers` is never shown to clients."""

    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str | None = None
    sid: str
    friendly_name: str | None = None
    unique_name: str | None = None
    attributes: str = "{}"
    state: State
    date_created: Instant
    date_updated: Instant
    date_inactive: Instant | None = None
    date_closed: Instant | None = None
    email: EmailBinding | None = None

    timers: Timers = Timers()
    requested_state: State = State.ACTIVE
    attempts: int = 0
    """How often the sweeper has tried to finish it."""
    due_at: Instant | None = None
    """The next moment it needs attention (promise 5)."""
    unsettled: bool = False
    """Whether the event of its leaving `initializing` may still have to be published."""

    def with_timers_from(self, moment: datetime) -> Self:
        """With both timers started at `moment`; they are not stacked on each other (reference, e.3)."""
        ends = {"date_inactive": _end(moment, self.timers.inactive), "date_closed": _end(moment, self.timers.closed)}
        return self.model_copy(update=ends)

    def finished(self, state: State, moment: datetime) -> Self:
        """As it leaves `initializing` for `state`: timers start unless it is closed, its event is to be published."""
        update = {"state": state, "date_updated": max(moment, self.date_updated), "unsettled": True}
        left = self.model_copy(update=update)
        return left if state is State.CLOSED else left.with_timers_from(moment)


def _end(moment: datetime, length: timedelta) -> datetime | None:
    return moment + length if length else None


def check_friendly_name(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise FriendlyNameTooLongError
    return name


def check_unique_name(name: str) -> str | None:
    """An empty name is none: it could not be put into a path."""
    if len(name) > LONGEST_NAME:
        raise UniqueNameTooLongError
    if is_sid(name, Prefix.CONVERSATION):
        raise UniqueNameLooksLikeSidError
    return name or None


def check_messaging_service_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.MESSAGING_SERVICE):
        raise InvalidMessagingServiceSidError
    return sid


def check_email_field(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise InvalidParameterError(wanted=f"at most {LONGEST_NAME} characters")
    return text


def parse_initial_state(value: str) -> State:
    """The state a conversation may be asked to start in; upper and lower case alike (reference, a.0)."""
    if not value:
        raise StateEmptyError
    match value.lower():
        case State.ACTIVE | State.INACTIVE as state:
            return State(state)
        case State.CLOSED:
            raise InitialStateClosedError
        case _:
            raise StateUnknownError


def parse_inactive_timer(text: str) -> timedelta:
    return _parse_timer(text, SHORTEST_INACTIVE_TIMER, InvalidInactiveTimerError, InactiveTimerTooShortError)


def parse_closed_timer(text: str) -> timedelta:
    return _parse_timer(text, SHORTEST_CLOSED_TIMER, InvalidClosedTimerError, ClosedTimerTooShortError)


def _parse_timer(
    text: str, shortest: timedelta, invalid: type[ConversationsError], too_short: type[ConversationsError]
) -> timedelta:
    """`PT0S` switches a timer off although it is below the minimum (reference, e.3)."""
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise invalid from error
    if timedelta(0) < length < shortest:
        raise too_short
    return length


class NewConversation(Model):
    """What a client asks for when it creates a conversation. The order of checks: reference, b.7 step 3."""

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
    attributes: Annotated[str, AfterValidator(lambda value: check_attributes(value, LONGEST_ATTRIBUTES))] = "{}"
    date_created: Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))] | None = None
    date_updated: Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))] | None = None
    state: Annotated[State, BeforeValidator(parse_initial_state)] = State.ACTIVE
    timers_inactive: Annotated[timedelta, BeforeValidator(parse_inactive_timer)] = timedelta(0)
    timers_closed: Annotated[timedelta, BeforeValidator(parse_closed_timer)] = timedelta(0)
    messaging_service_sid: Annotated[str, AfterValidator(check_messaging_service_sid)] | None = None
    bindings_email_address: Annotated[str, AfterValidator(check_email_field)] | None = None
    bindings_email_name: Annotated[str, AfterValidator(check_email_field)] | None = None
