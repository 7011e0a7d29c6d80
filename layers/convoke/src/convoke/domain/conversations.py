"""The Conversation resource: its states and timers, and the rules of its parameters.

See docs/behaviour/conversations.md and docs/behaviour/states-and-timers.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.attributes import check_attributes
from convoke.domain.dates import DateCreated, DateUpdated
from convoke.domain.errors import (
    AttributesNotJsonError,
    AttributesTooLongError,
    ClosedTimerTooShortError,
    ConversationBeingDeletedError,
    ConversationClosedError,
    ConversationInitializingError,
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
from convoke.domain.event_ids import to_event_id, to_moment
from convoke.domain.groups import is_formed_group, number_group
from convoke.domain.instants import Instant
from convoke.domain.json_schema import (
    IN_EITHER_CASE,
    attributes_schema,
    sid_schema,
    string_schema,
    word_schema,
)
from convoke.domain.model import Model
from convoke.domain.names import NAME_IN_PATH
from convoke.domain.participants import BoundMember, Participant
from convoke.domain.sids import Prefix, is_sid
from convoke.domain.timers import ClosedTimer, InactiveTimer, Timers

MAX_NAME_CHARACTERS = 256
"""The maximum length of unique names, friendly names, notification sounds, and the fields of an e-mail binding.

The friendly names of API keys and credentials must be shorter. See docs/behaviour/limits.md.
"""

MAX_CONVERSATION_ATTRIBUTES_BYTES = 16 * 1024


class State(StrEnum):
    INITIALIZING = "initializing"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"


class EmailBinding(Model):
    """The sender that e-mail participants of a conversation see: an e-mail address and a name."""

    projected_address: str | None = None
    name: str | None = None


class Conversation(Model):
    """A stored conversation.

    The REST resource Conversation does not contain `created_by`, `creator_joined`, and the fields from
    `requested_state` to the end of this class. Chat clients also get `created_by`, `members` and `messages`.
    """

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

    created_by: str | None = None
    """The identity of the chat user who created the conversation. None if no chat user created the conversation."""
    creator_joined: bool | None = None
    """True if the chat user who created the conversation has ever been a participant. Otherwise None.

    While the value is None, this user may see the conversation without being a participant.
    """
    timers: Timers = Timers()
    requested_state: State = State.ACTIVE
    """The state that follows `initializing` if Convoke can add all participants."""
    attempts: int = 0
    """The number of times that the sweeper has tried to finish the conversation, or to erase it after its deletion.

    If a sweep makes progress but runs out of time, the number becomes 0.
    """
    due_at: Instant | None = None
    """The time at which the sweeper must process the conversation next. None if the sweeper has nothing to do.

    While `is_unfinished` is True, the sweeper makes its next attempt to finish or erase the conversation at this time.
    Otherwise, this is the end of the timer that ends first, or an earlier time if a timer was restarted.
    """
    unsettled: bool = False
    """Whether the event about the end of the state `initializing` may be unpublished."""
    members: int = 0
    """The number of participants. In the state `initializing`, this number includes the participants to add."""
    bound: tuple[BoundMember, ...] = ()
    """The participants with a binding. Their bindings determine the locks on addresses that the conversation holds.

    The bindings are also in the items of the participants. They are repeated in the item of the conversation, so that
    `revision` protects the locks against concurrent changes.
    """
    revision: int = 0
    """The number of changes, for optimistic locking. Changes of messages, webhooks and participants count too.

    These changes do not count:

    - A change of only a read position, a notification level or a receipt.
    - The transaction that adds the participants of a ConversationWithParticipants request.
    - A write of the sweeper that sets only `due_at` or `attempts`, except the correction of a too early `due_at`.
    """
    next_index: int = 0
    """The index of the next message. Because of optimistic locking, two messages never get the same index."""
    deleted_messages: int | None = None
    """The number of deleted messages. None counts as 0, because older versions of Convoke did not store this number."""
    event_id: int | None = None
    """The event id of the last change of the conversation, a message or a participant. See `last_event_id` for None.

    A new read position, notification level or receipt status does not change this field. Event ids are numbers that
    order the changes for chat clients. See event_ids.py.
    """
    state_event_id: int | None = None
    """The event id of the last change of the state. If None, `date_state_updated` returns `date_created`."""
    date_removed: Instant | None = None
    """The time at which the conversation was deleted. None if the conversation is not deleted.

    A deleted conversation becomes a tombstone, which the API does not show. The sweeper later deletes all items of the
    conversation except its webhooks, which expire 14 days after this time. See WEBHOOKS_RETENTION in retention.py.
    """

    @property
    def last_event_id(self) -> int:
        # Without `event_id`, the last change can be the end of `initializing`. The write that ends `initializing` sets
        # `state_event_id`, but does not add a missing `event_id`.
        return self.event_id or max(to_event_id(self.date_updated), self.state_event_id or 0)

    @property
    def date_state_updated(self) -> datetime:
        """The time at which the state changed last."""
        return to_moment(self.state_event_id) if self.state_event_id else self.date_created

    @property
    def messages(self) -> int:
        """The number of messages."""
        return self.next_index - (self.deleted_messages or 0)

    @property
    def is_unfinished(self) -> bool:
        """Whether Convoke must add participants, publish an event, or delete items. If so, no timer expires."""
        return self.state is State.INITIALIZING or self.unsettled or self.date_removed is not None

    @property
    def is_formed_group(self) -> bool:
        """Whether the conversation is a group MMS with at least three participants that have a binding.

        See docs/behaviour/group-mms.md#step-by-step.
        """
        return is_formed_group(self.bound)

    @property
    def number_group(self) -> frozenset[str]:
        """The set of numbers that identifies the group MMS. Empty if the conversation is not a formed group."""
        return number_group(self.bound) if self.is_formed_group else frozenset()

    def with_participants(self, *participants: Participant) -> Self:
        """Return a copy of the conversation that includes the new participants."""
        bound = tuple(member for participant in participants for member in participant.bound)
        update = {"members": self.members + len(participants), "bound": (*self.bound, *bound)}
        if any(participant.identity and self.awaits(participant.identity) for participant in participants):
            update["creator_joined"] = True
        return self.model_copy(update=update)

    def awaits(self, identity: str) -> bool:
        """Return whether the chat user with this identity created the conversation and never was a participant."""
        return self.created_by == identity and not self.creator_joined

    def without_participant(self, participant: Participant) -> Self:
        """Return a copy of the conversation that does not include the participant."""
        return self.model_copy(update={"members": self.members - 1, "bound": self._bound_without(participant)})

    def with_changed_participant(self, participant: Participant) -> Self:
        """Return a copy of the conversation with the new binding of a changed participant."""
        return self.model_copy(update={"bound": (*self._bound_without(participant), *participant.bound)})

    def _bound_without(self, participant: Participant) -> tuple[BoundMember, ...]:
        return tuple(member for member in self.bound if member.sid != participant.sid)

    def refuse_changes(self) -> None:
        """Raise an error if the conversation is deleted, closed or initializing.

        See docs/behaviour/states-and-timers.md#allowed-operations.
        """
        self.refuse_webhooks()
        if self.state is State.INITIALIZING:
            raise ConversationInitializingError

    def refuse_webhooks(self) -> None:
        """Raise an error if the conversation is deleted or closed. Its webhooks then cannot be created or updated.

        In the state `initializing`, clients can change the webhooks, but no other part of the conversation.
        """
        self.refuse_deleted()
        if self.state is State.CLOSED:
            raise ConversationClosedError

    def refuse_deleted(self) -> None:
        """Raise an error if the conversation was deleted."""
        if self.date_removed:
            raise ConversationBeingDeletedError

    def with_timers_from(self, moment: datetime) -> Self:
        """Return a copy of the conversation in which both timers start at `moment`.

        If the state is `closed`, no timer runs in the copy. The timers run in parallel: the closed timer does not wait
        for the end of the inactive timer.
        """
        timers = Timers() if self.state is State.CLOSED else self.timers
        ends = {"date_inactive": _end(moment, timers.inactive), "date_closed": _end(moment, timers.closed)}
        return self.model_copy(update=ends).due_no_later_than_timers()

    def with_expired_timers(self, moment: datetime) -> Self:
        """Return the conversation with the state and the `due_at` that its timers require at `moment`.

        If both timers have ended, the state becomes `closed` and not `inactive`. If only the inactive timer has ended,
        the closed timer continues.
        """
        if self.date_closed and self.date_closed <= moment:
            return self._with_state(State.CLOSED, moment).with_timers_from(moment)
        if self.state is State.ACTIVE and self.date_inactive and self.date_inactive <= moment:
            return self._with_state(State.INACTIVE, moment).due_for_timers()
        return self.due_for_timers()

    def due_for_timers(self) -> Self:
        """Return a copy whose `due_at` is the end of the timer that ends first, or None if no timer runs.

        The inactive timer runs only in the state `active`.
        """
        running = (self.date_closed, self.date_inactive if self.state is State.ACTIVE else None)
        return self.model_copy(update={"due_at": min((end for end in running if end), default=None)})

    def due_no_later_than_timers(self) -> Self:
        """Return a copy whose `due_at` is not later than the end of the timer that ends first.

        A `due_at` that is earlier than this end stays. Therefore the restart of a timer causes no write to the index
        `due`. The sweeper corrects `due_at` at the earlier time. If no timer runs, `due_at` becomes None. An unfinished
        conversation (see `is_unfinished`) keeps its `due_at`.
        """
        # The `due_at` of an unfinished conversation is not the end of a timer. See `due_at`.
        if self.is_unfinished:
            return self
        due = self.due_for_timers()
        return self if due.due_at and self.due_at and self.due_at <= due.due_at else due

    def _with_state(self, state: State, moment: datetime) -> Self:
        return self.model_copy(update={"state": state, "date_updated": max(moment, self.date_updated)})

    def finished(self, state: State, moment: datetime) -> Self:
        """Return the conversation after the end of `initializing`. `state` is the new state.

        `unsettled` is True, because the event about the new state must be published. The timers start at `moment`,
        unless `state` is `closed`.
        """
        finished = self._with_state(state, moment)
        return finished.model_copy(update={"unsettled": True}).with_timers_from(moment)

    def with_message(self, moment: datetime) -> Self:
        """Return the conversation after the creation of a message.

        The message restarts both timers and makes an inactive conversation active.
        """
        active = self._with_state(State.ACTIVE, moment) if self.state is State.INACTIVE else self
        return active.model_copy(update={"next_index": self.next_index + 1}).with_timers_from(moment)

    def as_tombstone(self, moment: datetime) -> Self:
        """Return the conversation as a tombstone.

        `due_at` is `moment`, so that the sweeper erases the conversation soon. `unsettled` is False, because the change
        record of the deletion contains the unpublished events. See `conversation_removed` in events.py.
        """
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
    """Return the name, or None if the name is empty. Raise an error if the name is too long or has the form of a SID.

    An empty name cannot identify a conversation in a path.
    """
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
    """Return the text, or None if the text is empty. Raise InvalidParameterError if the text is too long."""
    if len(text) > MAX_NAME_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_NAME_CHARACTERS} characters")
    return text or None


def parse_state(value: str) -> State:
    """Parse the state that a request sets. A request cannot set `initializing`. Upper and lower case are equal."""
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


def check_conversation_attributes(attributes: str) -> str:
    return check_attributes(attributes, MAX_CONVERSATION_ATTRIBUTES_BYTES)


STARTING_STATES = (State.ACTIVE, State.INACTIVE)
"""The states that a client can give to a new conversation."""

FriendlyName = Annotated[str, AfterValidator(check_friendly_name), string_schema(MAX_NAME_CHARACTERS)]
UniqueName = Annotated[
    str,
    AfterValidator(check_unique_name),
    NAME_IN_PATH,
    string_schema(MAX_NAME_CHARACTERS, description="Must not look like a SID. An empty string means no unique name."),
]
ConversationAttributes = Annotated[
    str, AfterValidator(check_conversation_attributes), attributes_schema(MAX_CONVERSATION_ATTRIBUTES_BYTES)
]
MessagingServiceSid = Annotated[str, AfterValidator(check_messaging_service_sid), sid_schema(Prefix.MESSAGING_SERVICE)]
EmailField = Annotated[str, AfterValidator(check_email_field), string_schema(MAX_NAME_CHARACTERS)]


# The parameters of requests that create or update a conversation


class ConversationParameters(Model):
    """The common parameters of create requests and update requests.

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
        """Return the timers after the request. A timer that the request does not set keeps its length in `before`."""
        return before.model_copy(update=self._given(inactive="timers_inactive", closed="timers_closed"))

    def email(self, before: EmailBinding | None) -> EmailBinding | None:
        """Return the e-mail binding after the request, or None if the binding has no values.

        A value that the request does not set stays as in `before`.
        """
        given = self._given(projected_address="bindings_email_address", name="bindings_email_name")
        email = (before or EmailBinding()).model_copy(update=given)
        return None if email == EmailBinding() else email

    def _given(self, **fields: str) -> dict[str, object]:
        """Return the values of the fields that the request sets, under new names.

        `fields` maps each new name to the name of the field.
        """
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
    """The parameters of a request that updates a conversation.

    Only the parameters in `model_fields_set` have an effect.
    """

    state: Annotated[State, BeforeValidator(parse_state), NEXT_STATE_SCHEMA] | None = None

    @property
    def changes_only_state(self) -> bool:
        return self.model_fields_set == {"state"}

    def changes_nothing(self, conversation: Conversation) -> bool:
        """Return whether the request leaves the conversation unchanged.

        Such a request has no parameters, or only the current state of the conversation.
        """
        return not self.model_fields_set or (self.changes_only_state and self.state is conversation.state)

    def applied_to(self, conversation: Conversation, moment: datetime) -> Conversation:
        """Return the changed conversation. Both timers start again at `moment`, unless the new state is `closed`.

        `date_updated` is never earlier than the stored `date_updated`, even if the clock was set back or the request
        contains an earlier date.
        """
        copied = {"friendly_name", "unique_name", "attributes", "date_created", "messaging_service_sid", "state"}
        update = {
            **self.model_dump(include=copied, exclude_unset=True),
            "date_updated": max(self.date_updated or moment, conversation.date_updated),
            "timers": self.timers(conversation.timers),
            "email": self.email(conversation.email),
        }
        return conversation.model_copy(update=update).with_timers_from(moment)
