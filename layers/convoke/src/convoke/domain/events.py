"""What happened, as webhooks and the event bus are told (reference, d.2 and d.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from convoke.domain.conversations import Conversation, State
from convoke.domain.instants import Instant, to_milliseconds
from convoke.domain.model import Model
from convoke.domain.participants import Participant


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


class Reason(StrEnum):
    """Why a state changed."""

    API = "API"
    TIMER = "TIMER"
    EVENT = "EVENT"


class Event(Model):
    """One event, with Twilio's parameters as its payload. The bus is always told, webhooks only where it says so."""

    id: str
    type: EventType
    account_sid: str
    conversation_sid: str
    occurred_at: Instant
    payload: dict[str, str]
    webhooks: bool


class Change(Model):
    """The events of one change: stored with it, published after it (promise 6)."""

    sid: str
    account_sid: str
    conversation_sid: str
    events: tuple[Event, ...]
    webhooks: bool
    """Whether webhooks may be told of them."""
    published_by_maker: bool = False
    """Whether the finalizer publishes it itself, so that the stream leaves it out."""


class Subject(NamedTuple):
    """What a change is about."""

    account_sid: str
    chat_service_sid: str
    conversation_sid: str


def conversation_added(sid: str, conversation: Conversation, *, at: datetime, webhooks: bool) -> Change:
    payload = _conversation_payload(conversation) | {
        "DateCreated": to_milliseconds(conversation.date_created),
        "DateUpdated": to_milliseconds(conversation.date_updated),
    }
    return _change(sid, _subject(conversation), EventType.CONVERSATION_ADDED, [payload], at=at, webhooks=webhooks)


def participants_added(
    sid: str, subject: Subject, participants: Sequence[Participant], *, at: datetime, webhooks: bool
) -> Change:
    payloads = [_participant_payload(participant) for participant in participants]
    return _change(sid, subject, EventType.PARTICIPANT_ADDED, payloads, at=at, webhooks=webhooks)


def initializing_ended(sid: str, conversation: Conversation, *, at: datetime) -> Change:
    """The event of a conversation that has left `initializing` for its present state.

    Webhooks are always told, as no client's request causes it (reference, h 10); the finalizer publishes it itself.
    """
    payload = {
        "ConversationSid": conversation.sid,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "StateUpdated": to_milliseconds(at),
        "StateFrom": State.INITIALIZING,
        "StateTo": conversation.state,
        "Reason": Reason.EVENT,
    }
    event_type = EventType.CONVERSATION_STATE_UPDATED
    change = _change(sid, _subject(conversation), event_type, [payload], at=at, webhooks=True)
    return change.model_copy(update={"published_by_maker": True})


Payload = Mapping[str, str | None]
"""Twilio's parameters; one without a value is left out (reference, d.3)."""


def _subject(conversation: Conversation) -> Subject:
    return Subject(conversation.account_sid, conversation.chat_service_sid, conversation.sid)


def _change(
    sid: str, subject: Subject, event_type: EventType, payloads: Sequence[Payload], *, at: datetime, webhooks: bool
) -> Change:
    common: Payload = {
        "EventType": event_type,
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
            payload={name: value for name, value in {**common, **payload}.items() if value is not None},
            webhooks=webhooks,
        )
        for position, payload in enumerate(payloads)
    )
    return Change(
        sid=sid,
        account_sid=subject.account_sid,
        conversation_sid=subject.conversation_sid,
        events=tuple(events),
        webhooks=webhooks,
    )


def _conversation_payload(conversation: Conversation) -> dict[str, str | None]:
    return {
        "ConversationSid": conversation.sid,
        "FriendlyName": conversation.friendly_name,
        "UniqueName": conversation.unique_name,
        "Attributes": conversation.attributes,
        "MessagingServiceSid": conversation.messaging_service_sid,
        "State": conversation.state,
    }


def _participant_payload(participant: Participant) -> Payload:
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
