"""What happened, as webhooks and the event bus are told (reference, d.2 and d.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import ConversationsError, InvalidSidError
from convoke.domain.instants import Instant, to_milliseconds
from convoke.domain.messages import Message
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.periods import Period
from convoke.domain.receipts import Receipt
from convoke.domain.sids import Prefix, parse_sid

LEDGER_LIFETIME = timedelta(days=30)
"""How long events, the attempts to deliver them, and alerts are kept."""


class EventType(StrEnum):
    """Every event of Conversations; those that end in `Add`, `Update` or `Remove` come before the change."""

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


class ErrorLogType(StrEnum):
    """The event of the error log. No webhook can ask for it: it has a URL of its own."""

    ERROR_LOGGED = "com.twilio.error-logs.error.logged"


class ReplayType(StrEnum):
    """Of a new webhook that is to be told what was there before it. Webhooks are told the messages, never this."""

    MESSAGES = "com.convoke.webhook.replay"


AnyEventType = EventType | ErrorLogType | ReplayType


class Reason(StrEnum):
    """Why a state changed."""

    API = "API"
    TIMER = "TIMER"
    EVENT = "EVENT"


class Event(Model):
    """One event, with Twilio's parameters as its payload. The bus is always told, webhooks only where it says so."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    type: AnyEventType
    account_sid: str
    conversation_sid: str
    occurred_at: Instant
    payload: dict[str, str]
    notify_webhooks: bool = Field(alias="webhooks")
    """Whether webhooks may be sent this event. Stored and published as `webhooks`."""


class Change(Model):
    """The events of one change: stored with it, published after it (promise 6)."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    sid: str
    account_sid: str
    conversation_sid: str
    events: tuple[Event, ...]
    notify_webhooks: bool = Field(alias="webhooks")
    """Whether webhooks may be sent any of the events. Stored as `webhooks`."""
    published_by_maker: bool = False
    """Whether the finalizer publishes it itself, so that the stream leaves it out."""

    @property
    def own_events(self) -> tuple[Event, ...]:
        """Those that began with it: a deletion tells some of another change once more."""
        return tuple(event for event in self.events if event.id.startswith(f"{self.sid}-"))

    @property
    def last_event_at(self) -> datetime | None:
        return self.events[-1].occurred_at if self.events else None


def check_conversation_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.CONVERSATION)
    if sid is None:
        raise InvalidSidError
    return sid


class EventFilters(Period):
    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (*Period.order_of_checks, InvalidSidError)

    conversation_sid: Annotated[str, AfterValidator(check_conversation_sid)] | None = None


def change_sid_of_event(event_id: str) -> str | None:
    """The SID of the change that an event began with; None where that is no id of an event."""
    sid, _, position = event_id.partition("-")
    return parse_sid(sid, Prefix.CHANGE) if position.isdecimal() else None


class Subject(NamedTuple):
    """What a change is about."""

    account_sid: str
    chat_service_sid: str
    conversation_sid: str


def conversation_added(sid: str, conversation: Conversation, *, at: datetime, notify_webhooks: bool) -> Change:
    told = [(EventType.CONVERSATION_ADDED, conversation_payload(conversation))]
    return _change(sid, subject_of(conversation), told, at=at, notify_webhooks=notify_webhooks)


def conversation_updated(
    sid: str, before: Conversation, after: Conversation, *, state_alone: bool, at: datetime, notify_webhooks: bool
) -> Change:
    """What a client has changed: its state has an event of its own, which is the only one where it is `state_alone`."""
    told: list[Told] = [] if state_alone else [(EventType.CONVERSATION_UPDATED, conversation_payload(after))]
    if after.state is not before.state:
        payload = _state_payload(after, before.state, Reason.API, at)
        told.append((EventType.CONVERSATION_STATE_UPDATED, payload))
    return _change(sid, subject_of(after), told, at=at, notify_webhooks=notify_webhooks)


def timer_expired(sid: str, before: Conversation, after: Conversation, *, at: datetime) -> Change:
    """Webhooks are always told, as no client's request causes it (reference, d.2)."""
    told = [(EventType.CONVERSATION_STATE_UPDATED, _state_payload(after, before.state, Reason.TIMER, at))]
    return _change(sid, subject_of(after), told, at=at, notify_webhooks=True)


def conversation_removed(
    sid: str, conversation: Conversation, untold: Sequence[Event], *, at: datetime, notify_webhooks: bool
) -> Change:
    """Its end, and with it the `untold` events of the conversation, which nobody will look for any more."""
    payload = conversation_payload(conversation) | {"DateRemoved": to_milliseconds(at)}
    told = [(EventType.CONVERSATION_REMOVED, payload)]
    change = _change(sid, subject_of(conversation), told, at=at, notify_webhooks=notify_webhooks)
    events = (*untold, *change.events)
    return change.model_copy(
        update={"events": events, "notify_webhooks": any(event.notify_webhooks for event in events)}
    )


def participants_added(
    sid: str, subject: Subject, participants: Sequence[Participant], *, at: datetime, notify_webhooks: bool
) -> Change:
    told = [(EventType.PARTICIPANT_ADDED, participant_payload(participant)) for participant in participants]
    return _change(sid, subject, told, at=at, notify_webhooks=notify_webhooks)


def message_added(
    sid: str,
    before: Conversation,
    after: Conversation,
    message: Message,
    receipts: Sequence[Receipt],
    *,
    at: datetime,
    notify_webhooks: bool,
) -> Change:
    """A message, and what it brought about, of which webhooks are always told: a new state, and a receipt a copy (d.2).

    50 receipts, the most there can be, make an item of some 20 KB.
    """
    told: list[Told] = [(EventType.MESSAGE_ADDED, message_payload(after, message))]
    if after.state is not before.state:
        told.append((EventType.CONVERSATION_STATE_UPDATED, _state_payload(after, before.state, Reason.EVENT, at)))
    told += [(EventType.DELIVERY_UPDATED, _receipt_payload(receipt)) for receipt in receipts]
    change = _change(sid, subject_of(after), told, at=at, notify_webhooks=True)
    added, *caused = change.events
    events = (added.model_copy(update={"notify_webhooks": notify_webhooks}), *caused)
    return change.model_copy(
        update={"events": events, "notify_webhooks": any(event.notify_webhooks for event in events)}
    )


def messages_replayed(sid: str, conversation: Conversation, webhook_sid: str, after: int, *, at: datetime) -> Change:
    """That a new webhook is to be told the messages behind the index `after`: of those that are there now, all."""
    payload = {
        "ConversationSid": conversation.sid,
        "WebhookSid": webhook_sid,
        "After": str(after),
        "Until": str(conversation.next_index - 1),
    }
    return _change(sid, subject_of(conversation), [(ReplayType.MESSAGES, payload)], at=at, notify_webhooks=True)


def message_updated(
    sid: str, conversation: Conversation, message: Message, *, at: datetime, notify_webhooks: bool
) -> Change:
    payload = edited_payload(conversation, message)
    told = [(EventType.MESSAGE_UPDATED, payload)]
    return _change(sid, subject_of(conversation), told, at=at, notify_webhooks=notify_webhooks)


def message_removed(
    sid: str, conversation: Conversation, message: Message, *, at: datetime, notify_webhooks: bool
) -> Change:
    payload = edited_payload(conversation, message) | {"DateRemoved": to_milliseconds(at)}
    told = [(EventType.MESSAGE_REMOVED, payload)]
    return _change(sid, subject_of(conversation), told, at=at, notify_webhooks=notify_webhooks)


def participant_updated(
    sid: str, subject: Subject, participant: Participant, *, at: datetime, notify_webhooks: bool
) -> Change:
    index = participant.last_read_message_index
    read = {"LastReadMessageIndex": None if index is None else str(index)}
    payload = {**participant_payload(participant), **date_updated(participant), **read}
    return _change(sid, subject, [(EventType.PARTICIPANT_UPDATED, payload)], at=at, notify_webhooks=notify_webhooks)


def participant_removed(
    sid: str, subject: Subject, participant: Participant, *, at: datetime, notify_webhooks: bool
) -> Change:
    removed = {"DateRemoved": to_milliseconds(at)}
    payload = {**participant_payload(participant), **date_updated(participant), **removed}
    return _change(sid, subject, [(EventType.PARTICIPANT_REMOVED, payload)], at=at, notify_webhooks=notify_webhooks)


class Failure(NamedTuple):
    """Why a conversation is closed that nobody closed, and the alert that says more."""

    code: int
    message: str
    alert_sid: str


def initializing_ended(sid: str, conversation: Conversation, failure: Failure | None = None, *, at: datetime) -> Change:
    """The event of a conversation that has left `initializing` for its present state.

    Webhooks are always told, as no client's request causes it (reference, h 10); the finalizer publishes it itself.
    """
    payload = _state_payload(conversation, State.INITIALIZING, Reason.EVENT, at)
    if failure:
        payload |= {"ErrorCode": str(failure.code), "ErrorMessage": failure.message, "AlertSid": failure.alert_sid}
    told = [(EventType.CONVERSATION_STATE_UPDATED, payload)]
    change = _change(sid, subject_of(conversation), told, at=at, notify_webhooks=True)
    return change.model_copy(update={"published_by_maker": True})


def pre_event(sid: str, subject: Subject, told: Told, *, at: datetime) -> Event:
    """What is to happen, for who may change or refuse it."""
    return _change(sid, subject, [told], at=at, notify_webhooks=True).events[0]


Payload = Mapping[str, str | None]
"""Twilio's parameters; one without a value is left out (reference, d.3)."""

Told = tuple[EventType | ReplayType, Payload]


def subject_of(conversation: Conversation) -> Subject:
    return Subject(conversation.account_sid, conversation.chat_service_sid, conversation.sid)


def _change(sid: str, subject: Subject, told: Sequence[Told], *, at: datetime, notify_webhooks: bool) -> Change:
    common: Payload = {
        "AccountSid": subject.account_sid,
        "ChatServiceSid": subject.chat_service_sid,
        "Source": "API",
    }
    events = (
        Event(
            id=f"{sid}-{position}",
            type=event_type,
            account_sid=subject.account_sid,
            conversation_sid=subject.conversation_sid,
            occurred_at=at,
            payload=_without_absent({"EventType": event_type, **common, **payload}),
            notify_webhooks=notify_webhooks,
        )
        for position, (event_type, payload) in enumerate(told)
    )
    return Change(
        sid=sid,
        account_sid=subject.account_sid,
        conversation_sid=subject.conversation_sid,
        events=tuple(events),
        notify_webhooks=notify_webhooks,
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
    return {"DateUpdated": to_milliseconds(participant.date_updated)}


def participant_payload(participant: Participant) -> Payload:
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


def message_payload(conversation: Conversation, message: Message) -> dict[str, str | None]:
    return {
        "ConversationSid": message.conversation_sid,
        "MessageSid": message.sid,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "Index": str(message.index),
        "Body": message.body,
        "Author": message.author,
        "ParticipantSid": message.participant_sid,
        "Attributes": message.attributes,
        "Media": json.dumps([{"Sid": message.media_sid}]) if message.media_sid else None,
        "DateCreated": to_milliseconds(message.date_created),
    }


def _receipt_payload(receipt: Receipt) -> Payload:
    """It is the only event without a `Source` (reference, d.3)."""
    return {
        "Source": None,
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
    return message_payload(conversation, message) | {"DateUpdated": to_milliseconds(message.date_updated)}
