"""The Conversation resource: its states, the rules of its parameters (reference, a.1, b.7 step 3, e)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from convoke.domain.durations import parse_duration
from convoke.domain.errors import (
    ClosedTimerTooShortError,
    ConversationBeingDeletedError,
    ConversationClosedError,
    ConversationInitializingError,
    ConversationsError,
    FriendlyNameTooLongError,
    InactiveTimerTooShortError,
    InitialStateClosedError,
    InvalidClosedTimerError,
    InvalidInactiveTimerError,
    InvalidMessagingServiceSidError,
    InvalidParameterError,
    StateEmptyError,
    StateUnknownError,
    UniqueNameLooksLikeSidError,
    UniqueNameTooLongError,
)
from convoke.domain.groups import MIN_GROUP_PARTICIPANTS, is_group, number_group
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import BoundMember, Participant
from convoke.domain.sids import Prefix, is_sid

MAX_NAME_CHARACTERS = 256
"""Characters of a friendly or unique name (reference, f.1 and h 21)."""

MAX_CONVERSATION_ATTRIBUTES_BYTES = 16 * 1024
"""Bytes (reference, f.1)."""

MIN_INACTIVE_TIMER = timedelta(minutes=1)
MIN_CLOSED_TIMER = timedelta(minutes=10)


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
    """The next moment it needs attention (promise 5): a little early where a timer was restarted, and never late."""
    unsettled: bool = False
    """Whether the event of its leaving `initializing` may still have to be published."""
    members: int = 0
    """How many it has, or while it is initializing, is to have."""
    bound: tuple[BoundMember, ...] = ()
    """Those of them with a binding: what locks it holds follows from them. They change with it, in one transaction."""
    revision: int = 0
    """Counts its changes. What was read is changed only where nobody else was faster."""
    next_index: int = 0
    """That of the next message. It is given once, as a message is a change too."""
    date_removed: Instant | None = None
    """When it was deleted: from then on it is there for nobody but the sweeper, who removes what is left of it."""

    @property
    def is_unfinished(self) -> bool:
        """Whether it is due for its members, its event or its removal. While it is, timers wait."""
        return self.state is State.INITIALIZING or self.unsettled or self.date_removed is not None

    @property
    def is_formed_group(self) -> bool:
        """A group MMS that is built step by step is none before its third member (reference, b.4)."""
        return is_group(self.bound) and len(self.bound) >= MIN_GROUP_PARTICIPANTS

    @property
    def number_group(self) -> frozenset[str]:
        """The set of numbers of which an account may have one open group only; empty where it is no group."""
        return number_group(self.bound) if self.is_formed_group else frozenset()

    def with_participants(self, *participants: Participant) -> Self:
        bound = tuple(member for participant in participants for member in participant.bound)
        update = {"members": self.members + len(participants), "bound": (*self.bound, *bound)}
        return self.model_copy(update=update)

    def left(self, participant: Participant) -> Self:
        return self.model_copy(update={"members": self.members - 1, "bound": self._bound_but(participant)})

    def with_changed_participant(self, participant: Participant) -> Self:
        return self.model_copy(update={"bound": (*self._bound_but(participant), *participant.bound)})

    def _bound_but(self, participant: Participant) -> tuple[BoundMember, ...]:
        return tuple(member for member in self.bound if member.sid != participant.sid)

    def refuse_changes(self) -> None:
        """Raises the reason why it takes no changes, where there is one (reference, e.2)."""
        self.refuse_webhooks()
        if self.state is State.INITIALIZING:
            raise ConversationInitializingError

    def refuse_webhooks(self) -> None:
        """The same for webhooks of its own, new or changed: those it takes while it is initializing too."""
        self.refuse_deleted()
        if self.state is State.CLOSED:
            raise ConversationClosedError

    def refuse_deleted(self) -> None:
        if self.date_removed:
            raise ConversationBeingDeletedError

    def with_timers_from(self, moment: datetime) -> Self:
        """With both timers started at `moment`, not stacked on each other; without any once it is closed (e.3)."""
        timers = Timers() if self.state is State.CLOSED else self.timers
        ends = {"date_inactive": _end(moment, timers.inactive), "date_closed": _end(moment, timers.closed)}
        return self.model_copy(update=ends).due_no_later_than_timers()

    def with_expired_timers(self, moment: datetime) -> Self:
        """As it is where timers are over by `moment`: closed at once where both are. Neither starts anew (e.3)."""
        if self.date_closed and self.date_closed <= moment:
            return self._turned(State.CLOSED, moment).with_timers_from(moment)
        if self.state is State.ACTIVE and self.date_inactive and self.date_inactive <= moment:
            return self._turned(State.INACTIVE, moment).due_for_timers()
        return self.due_for_timers()

    def due_for_timers(self) -> Self:
        """Due when its next timer is over; not at all where none runs."""
        running = (self.date_closed, self.date_inactive if self.state is State.ACTIVE else None)
        return self.model_copy(update={"due_at": min((end for end in running if end), default=None)})

    def due_no_later_than_timers(self) -> Self:
        """Return the conversation, due no later than its next timer.

        An earlier due time stays, so that restarting a timer does not write the index `due`. A sweeper that comes too
        early puts the conversation off.
        """
        if self.is_unfinished:
            return self
        due = self.due_for_timers()
        return self if due.due_at and self.due_at and self.due_at <= due.due_at else due

    def _turned(self, state: State, moment: datetime) -> Self:
        return self.model_copy(update={"state": state, "date_updated": max(moment, self.date_updated)})

    def finished(self, state: State, moment: datetime) -> Self:
        """As it leaves `initializing` for `state`: timers start unless it is closed, its event is to be published."""
        turned = self._turned(state, moment)
        return turned.model_copy(update={"unsettled": True}).with_timers_from(moment)

    def with_message(self, moment: datetime) -> Self:
        """As it is once a message has come: active, with both timers restarted (reference, e.1 and e.3)."""
        active = self._turned(State.ACTIVE, moment) if self.state is State.INACTIVE else self
        return active.model_copy(update={"next_index": self.next_index + 1}).with_timers_from(moment)

    def removed(self, moment: datetime) -> Self:
        """As a tombstone: due at once, with all attempts before it, and nothing of it left to publish."""
        return self.model_copy(
            update={"date_removed": moment, "due_at": moment, "attempts": 0, "unsettled": False},
        )


def _end(moment: datetime, length: timedelta) -> datetime | None:
    return moment + length if length else None


def check_friendly_name(name: str) -> str:
    if len(name) > MAX_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name


def check_unique_name(name: str) -> str | None:
    """An empty name is none: it could not be put into a path."""
    if len(name) > MAX_NAME_CHARACTERS:
        raise UniqueNameTooLongError
    if is_sid(name, Prefix.CONVERSATION):
        raise UniqueNameLooksLikeSidError
    return name or None


def check_messaging_service_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.MESSAGING_SERVICE):
        raise InvalidMessagingServiceSidError
    return sid


def check_email_field(text: str) -> str | None:
    """An empty text is none."""
    if len(text) > MAX_NAME_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_NAME_CHARACTERS} characters")
    return text or None


def parse_state(value: str) -> State:
    """The state a conversation may be asked to be in; upper and lower case alike (reference, a.0)."""
    if not value:
        raise StateEmptyError
    match value.lower():
        case State.ACTIVE | State.INACTIVE | State.CLOSED as state:
            return State(state)
        case _:
            raise StateUnknownError


def parse_initial_state(value: str) -> State:
    state = parse_state(value)
    if state is State.CLOSED:
        raise InitialStateClosedError
    return state


def parse_inactive_timer(text: str) -> timedelta:
    return _parse_timer(text, MIN_INACTIVE_TIMER, InvalidInactiveTimerError, InactiveTimerTooShortError)


def parse_closed_timer(text: str) -> timedelta:
    return _parse_timer(text, MIN_CLOSED_TIMER, InvalidClosedTimerError, ClosedTimerTooShortError)


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
