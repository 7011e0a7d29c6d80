"""The events that Convoke sends to webhooks and to the event bus, and the changes that cause the events.

See docs/behaviour/webhook-delivery.md#what-triggers-webhooks and docs/behaviour/webhook-delivery.md#event-parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import not_
from typing import Annotated, ClassVar, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Field

from convoke.domain.conversations import Conversation, State
from convoke.domain.date_filters import Period
from convoke.domain.errors import ConversationsError, InvalidSidError
from convoke.domain.event_ids import event_id_of_sid, to_event_id
from convoke.domain.instants import Instant, to_milliseconds
from convoke.domain.json_schema import sid_schema
from convoke.domain.media import MessageMedia
from convoke.domain.messages import Message
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.receipts import Receipt
from convoke.domain.sids import Prefix, index_of_message, parse_sid
from convoke.domain.sync_objects import ATTRIBUTES, NAME, Action, ObjectKind, SyncObject, Touch
from convoke.domain.users import User, user_sid


class EventType(StrEnum):
    """The types of events that the filters of webhooks can contain. A conversation's webhook gets only POST_EVENTS."""

    CONVERSATION_ADD = "onConversationAdd"
    CONVERSATION_ADDED = "onConversationAdded"
    CONVERSATION_UPDATE = "onConversationUpdate"
    CONVERSATION_UPDATED = "onConversationUpdated"
    CONVERSATION_REMOVE = "onConversationRemove"
    CONVERSATION_REMOVED = "onConversationRemoved"
    CONVERSATION_STATE_UPDATED = "onConversationStateUpdated"
    PARTICIPANT_ADD = "onParticipantAdd"
    PARTICIPANT_ADDED = "onParticipantAdded"
    PARTICIPANT_UPDATE = "onParticipantUpdate"
    PARTICIPANT_UPDATED = "onParticipantUpdated"
    PARTICIPANT_REMOVE = "onParticipantRemove"
    PARTICIPANT_REMOVED = "onParticipantRemoved"
    MESSAGE_ADD = "onMessageAdd"
    MESSAGE_ADDED = "onMessageAdded"
    MESSAGE_UPDATE = "onMessageUpdate"
    MESSAGE_UPDATED = "onMessageUpdated"
    MESSAGE_REMOVE = "onMessageRemove"
    MESSAGE_REMOVED = "onMessageRemoved"
    DELIVERY_UPDATED = "onDeliveryUpdated"
    USER_ADDED = "onUserAdded"
    USER_UPDATE = "onUserUpdate"
    USER_UPDATED = "onUserUpdated"


PRE_EVENTS = tuple(event for event in EventType if event.endswith(("Add", "Update", "Remove")))
"""The events that Convoke sends before a change. The receiver can reject the change."""

POST_EVENTS = tuple(event for event in EventType if event not in PRE_EVENTS)
"""The events that Convoke sends after a change."""


USER_EVENTS = frozenset({EventType.USER_ADDED, EventType.USER_UPDATE, EventType.USER_UPDATED})
"""The events about a User. They belong to no conversation, so the webhooks of a conversation never get them."""


class ErrorLogType(StrEnum):
    """The type of the event about a new alert.

    Convoke sends this event to the account's error-log URL. Filters of webhooks cannot contain this event.
    """

    ERROR_LOGGED = "com.twilio.error-logs.error.logged"


class ReplayType(StrEnum):
    """The type of the events that start and continue a message replay. Convoke does not send these events to webhooks.

    In a message replay, a new webhook of a conversation gets the messages that the conversation already has. The
    webhook gets an event `onMessageAdded` for each of these messages.
    """

    MESSAGES = "com.convoke.webhook.replay"


AnyEventType = EventType | ErrorLogType | ReplayType


class Reason(StrEnum):
    """The values of the parameter `Reason` in `onConversationStateUpdated`: the causes of a new state.

    The cause EVENT is a new message, or the end of the state `initializing`.
    """

    API = "API"
    TIMER = "TIMER"
    EVENT = "EVENT"


class Source(StrEnum):
    """The values of the parameter `Source`: the channels through which a change can be requested."""

    API = "API"
    SDK = "SDK"
    SMS = "SMS"
    WHATSAPP = "WHATSAPP"


class Origin(NamedTuple):
    """The origin of a change, and whether webhooks get the events of the change."""

    notify_webhooks: bool
    source: Source = Source.API
    client_identity: str | None = None
    """The identity of the chat user that made the change. None if no chat user made the change."""


BY_CONVOKE = Origin(notify_webhooks=True)
"""The origin of a change that Convoke makes without a request, such as a new state after the end of a timer.

Webhooks always get the events of such a change, because there is no request with the header `X-Twilio-Webhook-Enabled`.
The event that starts a message replay also has this origin, although Convoke does not send this event to webhooks.
"""


class Event(Model):
    """An event. `payload` contains the parameters that webhooks get, except in an event of the type `ReplayType`.

    On AWS, the event bus gets all events, with two exceptions: pre-events, and the events of a message replay after the
    event that starts the replay.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    type: AnyEventType
    account_sid: str
    conversation_sid: str | None = None
    """The conversation that the event is about.

    None for an event about a User, and for an event about an alert that concerns no conversation.
    """
    occurred_at: Instant
    payload: dict[str, str]
    notify_webhooks: bool = Field(alias="webhooks")
    """Whether webhooks whose filters contain the type get the event.

    In stored items and on the event bus, the name of the field is `webhooks`.
    """
    copies: int = Field(default=0, exclude_if=not_)
    """The number of copies that must be sent to phones. Only the event about a new message has copies."""


class Change(Model):
    """The record of one change, with the events that the change causes.

    The transaction that makes the change also stores this record. Convoke publishes the events after the transaction.
    See docs/how-it-works.md#promise-6-no-event-is-lost.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    sid: str
    account_sid: str
    conversation_sid: str | None = None
    """The changed conversation.

    None if the change affects only a User, or if the change is a new alert that concerns no conversation.
    """
    events: tuple[Event, ...]
    notify_webhooks: bool = Field(alias="webhooks")
    """Whether `notify_webhooks` of at least one event is True. In stored items, the field has the name `webhooks`."""
    has_copies: bool = Field(default=False, exclude_if=not_)
    """Whether one of the events has `copies`."""
    published_by_maker: bool = False
    """Whether the code that makes the change also publishes the events. If so, the event publisher ignores the change.

    Also True for the deletion of a User, because this change has no events.
    """
    event_id: int | None = None
    """The event id that chat clients get. See `last_event_id` for None."""
    former_identity: str | None = None
    """The identity that the change removed from a participant that still exists. None for all other changes."""

    removed_user_sid: str | None = None
    """The SID of the User that the change deleted. None for all other changes."""

    @property
    def last_event_id(self) -> int:
        """The event id of the change.

        If `event_id` is None, the event id is the later of two times: the time in the SID of the change, and the time
        of the last event. The time of the event alone can be earlier than the event id of a previous change. The first
        reason: Convoke may read the clock, and then wait for the answer to a pre-event while other changes are stored.
        The second reason: the clock can be set back. The times in the SIDs of a process never decrease.

        For a new alert, the result has no meaning, because the digits of the change SID can be a hash.
        """
        if self.event_id:
            return self.event_id
        of_sid = event_id_of_sid(self.sid)
        return max(of_sid, to_event_id(self.last_event_at)) if self.last_event_at else of_sid

    def following(self, *event_ids: int) -> Self:
        """Return the change with an event id greater than `event_ids`, the last event ids of the changed items."""
        event_id = max(self.last_event_id, *(each + 1 for each in event_ids))
        return self if event_id == self.last_event_id else self.model_copy(update={"event_id": event_id})

    def not_later(self, event_id: int) -> int | None:
        """Return the event id that a new item must store, or None if the item need not store an event id.

        `event_id` is the event id that follows from the item's `date_updated`. If a client sets this date to a date in
        the future, `event_id` exceeds the event id of this change. The item must then store the event id of this
        change.
        """
        last_event_id = self.last_event_id
        return last_event_id if event_id > last_event_id else None

    @property
    def touches(self) -> tuple[Touch, ...]:
        """The touches that the change causes. A touch is a change in a Sync object. See domain/sync_objects.py.

        Each chat user has a map of conversations, which is a Sync object. A change can also touch the maps of all chat
        users who participate in the conversation. This property does not include these touches, because a conversation
        can have 1,000 participants. `members_action` describes these touches.
        """
        found = [touch for event in self.own_events for touch in touches_of(event)]
        if self.removed_user_sid:
            found.append(Touch(SyncObject(ObjectKind.INFO, self.removed_user_sid), Action.REMOVED))
        if self.former_identity and self.conversation_sid:
            service_sid = self.own_events[0].payload["ChatServiceSid"]
            channels = SyncObject(ObjectKind.CHANNELS, user_sid(service_sid, self.former_identity))
            found.append(Touch(channels, Action.REMOVED, self.conversation_sid, self.former_identity))
        return tuple(dict.fromkeys(found))

    @property
    def members_action(self) -> Action | None:
        """What the change does to the conversation in the maps of all chat users who participate.

        Each chat user has a map of conversations, which is a Sync object. None if the change does not touch the maps of
        all these users.
        """
        for event in self.own_events:
            if event.type is EventType.CONVERSATION_REMOVED:
                return Action.REMOVED
            if event.payload.get("StateFrom") == State.INITIALIZING:
                return Action.ADDED
        return None

    @property
    def own_events(self) -> tuple[Event, ...]:
        """The events that this change caused.

        The record of a deletion can also contain unpublished events of earlier changes. See `conversation_removed`.
        """
        return tuple(event for event in self.events if event.id.startswith(f"{self.sid}-"))

    @property
    def last_event_at(self) -> datetime | None:
        """The time at which the last event occurred, or None if there are no events."""
        return self.events[-1].occurred_at if self.events else None


def touches_of(event: Event) -> Iterator[Touch]:
    """Yield the touches that an event causes. A touch is a change in a Sync object. See domain/sync_objects.py."""
    payload, conversation_sid = event.payload, event.conversation_sid
    if event.type in USER_EVENTS:
        info = SyncObject(ObjectKind.INFO, payload["UserSid"])
        yield from (Touch(info, Action.UPDATED, key) for key in (NAME, ATTRIBUTES))
    elif conversation_sid is not None:
        yield from _touches_of_conversation(event.type, payload, conversation_sid)


def _touches_of_conversation(event_type: AnyEventType, payload: Mapping[str, str], sid: str) -> Iterator[Touch]:
    channel = SyncObject(ObjectKind.CHANNEL, sid)
    match event_type:
        case EventType.CONVERSATION_UPDATED | EventType.CONVERSATION_STATE_UPDATED:
            yield Touch(channel, Action.UPDATED)
        case EventType.CONVERSATION_REMOVED:
            for kind in (ObjectKind.CHANNEL, ObjectKind.MESSAGES, ObjectKind.ROSTER):
                yield Touch(SyncObject(kind, sid), Action.REMOVED)
        case _ if event_type in PARTICIPANT_ACTIONS:
            action = PARTICIPANT_ACTIONS[event_type]
            yield Touch(SyncObject(ObjectKind.ROSTER, sid), action, payload["ParticipantSid"])
            if identity := payload.get("Identity"):
                channels = SyncObject(ObjectKind.CHANNELS, user_sid(payload["ChatServiceSid"], identity))
                yield Touch(channels, action, sid, identity)
        case _ if event_type in MESSAGE_ACTIONS:
            index = str(index_of_message(payload["MessageSid"]))
            yield Touch(SyncObject(ObjectKind.MESSAGES, sid), MESSAGE_ACTIONS[event_type], index)
            if event_type in (EventType.MESSAGE_ADDED, EventType.MESSAGE_REMOVED):
                # Touch the conversation's document too, because it contains the index and date of the last message.
                yield Touch(channel, Action.UPDATED)


PARTICIPANT_ACTIONS: Mapping[AnyEventType, Action] = {
    EventType.PARTICIPANT_ADDED: Action.ADDED,
    EventType.PARTICIPANT_UPDATED: Action.UPDATED,
    EventType.PARTICIPANT_REMOVED: Action.REMOVED,
}

MESSAGE_ACTIONS: Mapping[AnyEventType, Action] = {
    EventType.MESSAGE_ADDED: Action.ADDED,
    EventType.MESSAGE_UPDATED: Action.UPDATED,
    EventType.MESSAGE_REMOVED: Action.REMOVED,
    EventType.DELIVERY_UPDATED: Action.UPDATED,
}


class UnpublishedChange(Model):
    """A dead letter about a change whose record the event publisher could not read.

    The dead letter contains only SIDs. The events of the change are not published. The item of the change contains
    these events.
    """

    account_sid: str
    change_sid: str


def check_conversation_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.CONVERSATION)
    if sid is None:
        raise InvalidSidError
    return sid


ConversationSid = Annotated[str, AfterValidator(check_conversation_sid), sid_schema(Prefix.CONVERSATION)]


class EventFilters(Period):
    """The filters of the list of events: a period and a conversation."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (*Period.order_of_checks, InvalidSidError)

    conversation_sid: ConversationSid | None = None


def event_id(change_sid: str, place: int) -> str:
    """Return the id of the event at the position `place` in a change. The first position is 0."""
    return f"{change_sid}-{place}"


def change_sid_of_event(event_id: str) -> str | None:
    """Return the SID of the change that caused an event, or None if `event_id` is not an event id."""
    sid, _, position = event_id.partition("-")
    return parse_sid(sid, Prefix.CHANGE) if position.isdecimal() else None


class Subject(NamedTuple):
    """The SIDs of the account, the service and the conversation that a change affects."""

    account_sid: str
    chat_service_sid: str
    conversation_sid: str | None = None
    """None if the change affects only a User."""


# In the functions below, `sid` is the SID of the change that the function returns. Exception: `pre_event` returns only
# the event of this change.


def conversation_added(sid: str, conversation: Conversation, *, at: datetime, origin: Origin) -> Change:
    data = [(EventType.CONVERSATION_ADDED, conversation_payload(conversation))]
    return _change(sid, subject_of(conversation), data, at=at, origin=origin)


def conversation_autocreated(
    sid: str,
    initial: Conversation,
    created: Conversation,
    binding: Payload,
    participants: Sequence[Participant],
    message: Message,
    *,
    at: datetime,
    origin: Origin,
) -> Change:
    """Return the record of a conversation that an inbound message has created.

    The record has events about the conversation, the participants and the message. `initial` is the conversation
    without its participants and its message. `created` is the conversation with its participants and its message. If
    the states of `initial` and `created` are different, the last event is about the state of `created`. `binding`
    contains the parameters with the addresses of the message.
    """
    data: list[EventData] = [
        (EventType.CONVERSATION_ADDED, {**conversation_payload(initial), **binding}),
        *((EventType.PARTICIPANT_ADDED, participant_payload(participant)) for participant in participants),
        (EventType.MESSAGE_ADDED, message_payload(created, message)),
    ]
    if created.state is not initial.state:
        data.append((EventType.CONVERSATION_STATE_UPDATED, _state_payload(created, initial.state, Reason.EVENT, at)))
    return _change(sid, subject_of(created), data, at=at, origin=origin)


def conversation_updated(
    sid: str, before: Conversation, after: Conversation, *, state_alone: bool, at: datetime, origin: Origin
) -> Change:
    """Return the record of an update of a conversation.

    `state_alone` says whether the request set only the state. If it is False, the record contains the event
    `onConversationUpdated`. If the state changed, the record contains the event `onConversationStateUpdated`.
    """
    data: list[EventData] = [] if state_alone else [(EventType.CONVERSATION_UPDATED, conversation_payload(after))]
    if after.state is not before.state:
        payload = _state_payload(after, before.state, Reason.API, at)
        data.append((EventType.CONVERSATION_STATE_UPDATED, payload))
    return _change(sid, subject_of(after), data, at=at, origin=origin)


def timer_expired(sid: str, before: Conversation, after: Conversation, *, at: datetime) -> Change:
    """Return the record of a new state that an expired timer has caused. Webhooks always get the event."""
    data = [(EventType.CONVERSATION_STATE_UPDATED, _state_payload(after, before.state, Reason.TIMER, at))]
    return _change(sid, subject_of(after), data, at=at, origin=BY_CONVOKE)


def conversation_removed(
    sid: str, conversation: Conversation, unpublished: Sequence[Event], *, at: datetime, origin: Origin
) -> Change:
    """Return the record of the deletion of a conversation.

    `unpublished` contains events of earlier changes that may be unpublished. The record includes these events, because
    neither the finalizer nor the sweeper publishes the events of a deleted conversation.
    """
    payload = conversation_payload(conversation) | {"DateRemoved": to_milliseconds(at)}
    data = [(EventType.CONVERSATION_REMOVED, payload)]
    change = _change(sid, subject_of(conversation), data, at=at, origin=origin)
    events = (*unpublished, *change.events)
    return change.model_copy(
        update={"events": events, "notify_webhooks": any(event.notify_webhooks for event in events)}
    )


def participants_added(
    sid: str,
    subject: Subject,
    participants: Sequence[Participant],
    users: Sequence[User] = (),
    *,
    at: datetime,
    origin: Origin,
) -> Change:
    """Return the record of new participants. `users` are the Users that the same transaction creates."""
    data = [(EventType.PARTICIPANT_ADDED, participant_payload(participant)) for participant in participants]
    return _change(sid, subject, [*_users_added(users), *data], at=at, origin=origin)


def message_added(
    sid: str,
    before: Conversation,
    after: Conversation,
    message: Message,
    *,
    copies: int = 0,
    at: datetime,
    origin: Origin,
) -> Change:
    """Return the record of the creation of a message. `copies` is the number of copies to send.

    If the message makes the conversation active, the record also has an event about the new state. Webhooks always get
    this event. `origin.notify_webhooks` applies only to the event about the message.
    """
    data: list[EventData] = [(EventType.MESSAGE_ADDED, message_payload(after, message))]
    if after.state is not before.state:
        data.append((EventType.CONVERSATION_STATE_UPDATED, _state_payload(after, before.state, Reason.EVENT, at)))
    change = _change(sid, subject_of(after), data, at=at, origin=origin._replace(notify_webhooks=True))
    added, *caused = change.events
    events = (added.model_copy(update={"notify_webhooks": origin.notify_webhooks, "copies": copies}), *caused)
    notify_webhooks = any(event.notify_webhooks for event in events)
    return change.model_copy(update={"events": events, "notify_webhooks": notify_webhooks, "has_copies": bool(copies)})


def delivery_updated(sid: str, conversation: Conversation, receipt: Receipt, *, at: datetime) -> Change:
    """Return the record of a receipt's new status. Webhooks always get the event."""
    data = [(EventType.DELIVERY_UPDATED, _receipt_payload(receipt))]
    return _change(sid, subject_of(conversation), data, at=at, origin=BY_CONVOKE)


def messages_replayed(sid: str, conversation: Conversation, webhook_sid: str, first: int, *, at: datetime) -> Change:
    """Return the record whose event starts a message replay.

    The webhook `webhook_sid` gets the existing messages whose index is at least `first`.
    """
    payload = {
        "ConversationSid": conversation.sid,
        "WebhookSid": webhook_sid,
        "From": str(first),
        "Until": str(conversation.next_index - 1),
    }
    return _change(sid, subject_of(conversation), [(ReplayType.MESSAGES, payload)], at=at, origin=BY_CONVOKE)


def message_updated(sid: str, conversation: Conversation, message: Message, *, at: datetime, origin: Origin) -> Change:
    payload = edited_payload(conversation, message)
    data = [(EventType.MESSAGE_UPDATED, payload)]
    return _change(sid, subject_of(conversation), data, at=at, origin=origin)


def message_removed(sid: str, conversation: Conversation, message: Message, *, at: datetime, origin: Origin) -> Change:
    payload = edited_payload(conversation, message) | {"DateRemoved": to_milliseconds(at)}
    data = [(EventType.MESSAGE_REMOVED, payload)]
    return _change(sid, subject_of(conversation), data, at=at, origin=origin)


def participant_updated(
    sid: str,
    subject: Subject,
    participant: Participant,
    users: Sequence[User] = (),
    *,
    at: datetime,
    origin: Origin,
    former_identity: str | None = None,
) -> Change:
    """Return the record of an updated participant. `users` are the Users that the same transaction creates.

    `former_identity` is the identity that the participant has lost. None if the participant has lost no identity.
    """
    index = participant.last_read_message_index
    read = {"LastReadMessageIndex": None if index is None else str(index)}
    payload = {**participant_payload(participant), **date_updated(participant), **read}
    data = [*_users_added(users), (EventType.PARTICIPANT_UPDATED, payload)]
    change = _change(sid, subject, data, at=at, origin=origin)
    return change.model_copy(update={"former_identity": former_identity}) if former_identity else change


def participant_removed(
    sid: str, subject: Subject, participant: Participant, *, at: datetime, origin: Origin
) -> Change:
    removed = {"DateRemoved": to_milliseconds(at)}
    payload = {**participant_payload(participant), **date_updated(participant), **removed}
    return _change(sid, subject, [(EventType.PARTICIPANT_REMOVED, payload)], at=at, origin=origin)


def user_added(sid: str, user: User, *, at: datetime, origin: Origin) -> Change:
    return _change(sid, subject_of_user(user), _users_added([user]), at=at, origin=origin)


def user_updated(sid: str, user: User, *, online: bool | None, at: datetime, origin: Origin) -> Change:
    """Return the record of an updated User. `online` is None if the service does not show which Users are online."""
    payload = {
        **user_payload(user),
        "DateUpdated": to_milliseconds(user.date_updated),
        "isOnline": None if online is None else str(online).lower(),
        # Convoke sends no push notifications, so no User can be notified.
        "isNotifiable": None if online is None else "false",
    }
    data = [(EventType.USER_UPDATED, payload)]
    return _change(sid, subject_of_user(user), data, at=at, origin=origin)


def user_removed(sid: str, user: User) -> Change:
    """Return the record of the deletion of a User, without events: Twilio has no event about the deletion of a User."""
    return Change(
        sid=sid,
        account_sid=user.account_sid,
        events=(),
        notify_webhooks=False,
        published_by_maker=True,
        removed_user_sid=user.sid,
    )


class Failure(NamedTuple):
    """The error that made Convoke close an `initializing` conversation. The alert contains the details."""

    code: int
    message: str
    alert_sid: str


def initializing_ended(sid: str, conversation: Conversation, failure: Failure | None = None, *, at: datetime) -> Change:
    """Return the record of the change from `initializing` to the current state of the conversation.

    `failure` is None if Convoke added all participants. The change has one event, about the new state. Webhooks always
    get this event, even if the request that created the conversation did not enable webhooks. The finalizer publishes
    the event.
    """
    payload = _state_payload(conversation, State.INITIALIZING, Reason.EVENT, at)
    if failure:
        payload |= {"ErrorCode": str(failure.code), "ErrorMessage": failure.message, "AlertSid": failure.alert_sid}
    data = [(EventType.CONVERSATION_STATE_UPDATED, payload)]
    change = _change(sid, subject_of(conversation), data, at=at, origin=BY_CONVOKE)
    return change.model_copy(update={"published_by_maker": True})


def pre_event(sid: str, subject: Subject, data: EventData, *, at: datetime, origin: Origin) -> Event:
    """Return the event that Convoke sends before a change."""
    return _change(sid, subject, [data], at=at, origin=origin).events[0]


Payload = Mapping[str, str | None]
"""Maps the names of an event's parameters to their values. Convoke does not send a parameter that is None."""

EventData = tuple[EventType | ReplayType, Payload]


def subject_of(conversation: Conversation) -> Subject:
    return Subject(conversation.account_sid, conversation.chat_service_sid, conversation.sid)


def subject_of_user(user: User) -> Subject:
    return Subject(user.account_sid, user.chat_service_sid)


def _users_added(users: Sequence[User]) -> list[EventData]:
    return [(EventType.USER_ADDED, user_payload(user)) for user in users]


def _change(sid: str, subject: Subject, data: Sequence[EventData], *, at: datetime, origin: Origin) -> Change:
    common: Payload = {
        "AccountSid": subject.account_sid,
        "ChatServiceSid": subject.chat_service_sid,
        "Source": origin.source,
        "ClientIdentity": origin.client_identity,
    }
    events = (
        Event(
            id=event_id(sid, position),
            type=event_type,
            account_sid=subject.account_sid,
            conversation_sid=None if event_type in USER_EVENTS else subject.conversation_sid,
            occurred_at=at,
            payload=_without_absent({"EventType": event_type, **common, **payload}),
            notify_webhooks=origin.notify_webhooks,
        )
        for position, (event_type, payload) in enumerate(data)
    )
    return Change(
        sid=sid,
        account_sid=subject.account_sid,
        conversation_sid=subject.conversation_sid,
        events=tuple(events),
        notify_webhooks=origin.notify_webhooks,
    )


def _without_absent(payload: Payload) -> dict[str, str]:
    return {name: value for name, value in payload.items() if value is not None}


def _state_payload(conversation: Conversation, before: State, reason: Reason, at: datetime) -> dict[str, str | None]:
    return {
        "ConversationSid": conversation.sid,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "StateUpdated": to_milliseconds(at),
        "StateFrom": before,
        "StateTo": conversation.state,
        "Reason": reason,
    }


def conversation_payload(conversation: Conversation) -> dict[str, str | None]:
    """Return the parameters of events about a conversation, except `onConversationStateUpdated`."""
    return {
        "ConversationSid": conversation.sid,
        "FriendlyName": conversation.friendly_name,
        "UniqueName": conversation.unique_name,
        "Attributes": conversation.attributes,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "State": conversation.state,
        "DateCreated": to_milliseconds(conversation.date_created),
        "DateUpdated": to_milliseconds(conversation.date_updated),
    }


def date_updated(participant: Participant) -> Payload:
    """Return the parameter `DateUpdated` for an event about an updated or deleted participant."""

    return {"DateUpdated": to_milliseconds(participant.date_updated)}


def participant_payload(participant: Participant) -> Payload:
    """Return the parameters of events about a participant."""
    binding = participant.messaging_binding
    payload = {
        "ConversationSid": participant.conversation_sid,
        "ParticipantSid": participant.sid,
        "Identity": participant.identity,
        "RoleSid": participant.role_sid,
        "Attributes": participant.attributes,
        "DateCreated": to_milliseconds(participant.date_created),
        "MessagingBinding.Type": "CHAT",
    }
    if binding is None:
        return payload
    return payload | {
        "MessagingBinding.Type": binding.type.upper(),
        "MessagingBinding.Address": binding.address,
        "MessagingBinding.ProxyAddress": binding.proxy_address,
        "MessagingBinding.ProjectedAddress": binding.projected_address,
        "MessagingBinding.Level": binding.level,
        "MessagingBinding.Name": binding.name,
    }


def user_payload(user: User) -> Payload:
    """Return the parameters of events about a User."""
    return {
        "UserSid": user.sid,
        "Identity": user.identity,
        "RoleSid": user.role_sid,
        "Attributes": user.attributes,
        "FriendlyName": user.friendly_name,
        "DateCreated": to_milliseconds(user.date_created),
    }


def message_payload(conversation: Conversation, message: Message) -> dict[str, str | None]:
    """Return the parameters of events about a message."""
    return {
        "ConversationSid": message.conversation_sid,
        "MessageSid": message.sid,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "Index": str(message.index),
        "Body": message.body,
        "Author": message.author,
        "ParticipantSid": message.participant_sid,
        "Attributes": message.attributes,
        "Media": media_json(message.media),
        "DateCreated": to_milliseconds(message.date_created),
    }


def media_json(media: Sequence[MessageMedia]) -> str | None:
    """Return the parameter `Media`: a JSON array with one object for each media. Return None if there are no media."""
    entries = [
        {"Sid": each.sid, "Filename": each.filename, "ContentType": each.content_type, "Size": each.size}
        for each in media
    ]
    shown = [{name: value for name, value in each.items() if value is not None} for each in entries]
    return json.dumps(shown) if shown else None


def _receipt_payload(receipt: Receipt) -> Payload:
    return {
        # `_change` adds `Source` and `ClientIdentity` to every event. The value None removes both from this event.
        "Source": None,
        "ClientIdentity": None,
        "ConversationSid": receipt.conversation_sid,
        "MessageSid": receipt.message_sid,
        "DeliveryReceiptSid": receipt.sid,
        "ChannelMessageSid": receipt.channel_message_sid,
        "ParticipantSid": receipt.participant_sid,
        "Status": receipt.status,
        "ErrorCode": str(receipt.error_code) if receipt.error_code else None,
        "DateCreated": to_milliseconds(receipt.date_created),
        "DateUpdated": to_milliseconds(receipt.date_updated) if receipt.date_updated else None,
    }


def edited_payload(conversation: Conversation, message: Message) -> dict[str, str | None]:
    """Return the parameters of events about an updated or deleted message."""
    return message_payload(conversation, message) | {"DateUpdated": to_milliseconds(message.date_updated)}
