"""Pre-events: the events that Convoke sends before it makes a change. The receiver can reject the change.

If the change adds or updates a conversation or a message, the receiver can also replace some fields. `PRE_EVENTS` in
domain/events.py lists the pre-events. See docs/behaviour/webhook-delivery.md#pre-events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from convoke.domain.conversations import Conversation, check_friendly_name
from convoke.domain.errors import ConversationsError, InvalidParameterError
from convoke.domain.events import (
    EventData,
    EventType,
    Payload,
    Subject,
    conversation_payload,
    date_updated,
    edited_payload,
    message_payload,
    participant_payload,
    subject_of,
    subject_of_user,
    user_payload,
)
from convoke.domain.instants import to_milliseconds
from convoke.domain.messages import Message, MessageParameters, check_author, check_body, check_message_attributes
from convoke.domain.participants import Participant
from convoke.domain.users import User

Reply = Mapping[str, object]
"""The JSON object in the receiver's answer. A field such as `body` replaces the value that the client sent."""

Check = Callable[[str], object]

Requested = TypeVar("Requested", bound=MessageParameters)


class PreEvent(NamedTuple):
    """The content of a pre-event. `pre_event` in events.py adds the id, the time and the origin."""

    subject: Subject
    data: EventData


def conversation_add(conversation: Conversation) -> PreEvent:
    payload = _without(conversation_payload(conversation), "ConversationSid", "DateCreated", "DateUpdated")
    return PreEvent(subject_of(conversation), (EventType.CONVERSATION_ADD, payload))


def conversation_update(conversation: Conversation) -> PreEvent:
    return PreEvent(subject_of(conversation), (EventType.CONVERSATION_UPDATE, conversation_payload(conversation)))


def conversation_remove(conversation: Conversation) -> PreEvent:
    return PreEvent(subject_of(conversation), (EventType.CONVERSATION_REMOVE, conversation_payload(conversation)))


def participant_add(conversation: Conversation, participant: Participant) -> PreEvent:
    payload = _without(participant_payload(participant), "ParticipantSid", "DateCreated")
    return PreEvent(subject_of(conversation), (EventType.PARTICIPANT_ADD, payload))


def participant_update(conversation: Conversation, participant: Participant) -> PreEvent:
    payload = {**participant_payload(participant), **date_updated(participant)}
    return PreEvent(subject_of(conversation), (EventType.PARTICIPANT_UPDATE, payload))


def participant_remove(conversation: Conversation, participant: Participant) -> PreEvent:
    payload = {**participant_payload(participant), **date_updated(participant)}
    return PreEvent(subject_of(conversation), (EventType.PARTICIPANT_REMOVE, payload))


def message_add(conversation: Conversation, message: Message) -> PreEvent:
    later = ("MessageSid", "MessagingServiceSid", "Index", "DateCreated")
    payload = _without(message_payload(conversation, message), *later)
    return PreEvent(subject_of(conversation), (EventType.MESSAGE_ADD, payload))


def message_update(conversation: Conversation, message: Message) -> PreEvent:
    return PreEvent(subject_of(conversation), (EventType.MESSAGE_UPDATE, edited_payload(conversation, message)))


def message_remove(conversation: Conversation, message: Message) -> PreEvent:
    return PreEvent(subject_of(conversation), (EventType.MESSAGE_REMOVE, edited_payload(conversation, message)))


def user_update(user: User) -> PreEvent:
    payload = {**_without(user_payload(user), "DateCreated"), "DateUpdated": to_milliseconds(user.date_updated)}
    return PreEvent(subject_of_user(user), (EventType.USER_UPDATE, payload))


def apply_conversation_reply(conversation: Conversation, reply: Reply) -> Conversation:
    """Return the conversation with the friendly name from the reply, if the reply contains a friendly name.

    Raise an error if the friendly name is invalid.

    See docs/behaviour/webhook-delivery.md#pre-event-answers.
    """
    return conversation.model_copy(update=_checked(reply, {"friendly_name": check_friendly_name}))


def apply_message_reply(requested: Requested, reply: Reply) -> Requested:
    """Return `requested` with the author, the body and the attributes from the reply.

    A field that is not in the reply keeps the requested value. Raise an error if a value in the reply is invalid.
    """
    checks: dict[str, Check] = {"author": check_author, "body": check_body, "attributes": check_message_attributes}
    return requested.model_copy(update=_checked(reply, checks))


def _checked(reply: Reply, checks: Mapping[str, Check]) -> dict[str, object]:
    """Return the checked values of the reply under the names of their fields. Raise an error if a value is invalid.

    `checks` maps the name of each field that a reply can set to the function that checks the value. All other fields,
    and fields that are null, are ignored.
    """
    return {
        name: _check(name, value, check) for name, check in checks.items() if (value := reply.get(name)) is not None
    }


def _check(name: str, value: object, check: Check) -> object:
    try:
        if isinstance(value, str):
            return check(value)
        raise InvalidParameterError(wanted="a string")
    except ConversationsError as error:
        raise type(error)(parameter=None, field=("pre_webhook", name), **error.details) from error


def _without(payload: Payload, *names: str) -> Payload:
    """Return the payload without the parameters in `names`."""
    return {name: value for name, value in payload.items() if name not in names}
