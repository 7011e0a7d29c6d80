"""Convert stored resources to the data in the Sync objects of chat clients.

The official SDK for browsers and Node determines the names of the keys. All dates have milliseconds.
"""

from __future__ import annotations

from typing import Any

from convoke.domain.addresses import Channel
from convoke.domain.conversations import Conversation
from convoke.domain.instants import to_milliseconds
from convoke.domain.messages import SYSTEM, Message
from convoke.domain.participants import NotificationLevel, Participant
from convoke.domain.sync_objects import ATTRIBUTES, NAME, REACHABILITY, ObjectKind, object_name
from convoke.domain.users import User, user_sid

Data = dict[str, Any]

JOINED = "joined"


def channel_data(conversation: Conversation, last_message: Message | None) -> Data:
    """Return the content of the document about a conversation."""
    last = last_message and {"index": last_message.index, "timestamp": to_milliseconds(last_message.date_created)}
    return {
        **_described(conversation),
        "messages": object_name(ObjectKind.MESSAGES, conversation.sid),
        "roster": object_name(ObjectKind.ROSTER, conversation.sid),
        "state": {
            "current": conversation.state,
            "dateUpdated": to_milliseconds(conversation.date_state_updated),
        },
        "bindings": _conversation_bindings(conversation),
        **({"lastMessage": last} if last else {}),
    }


def membership_data(conversation: Conversation, participant: Participant) -> Data:
    """Return the item about a conversation in the Sync map of a User's conversations.

    `participant` belongs to the User.
    """
    return {
        **_described(conversation),
        "channel": object_name(ObjectKind.CHANNEL, conversation.sid),
        "messages": object_name(ObjectKind.MESSAGES, conversation.sid),
        "roster": object_name(ObjectKind.ROSTER, conversation.sid),
        "status": JOINED,
        "lastConsumedMessageIndex": participant.last_read_message_index,
        "notificationLevel": participant.notification_level or NotificationLevel.DEFAULT,
    }


def participant_data(participant: Participant, chat_service_sid: str) -> Data:
    """Return the item about a participant in the Sync map of the conversation's participants."""
    binding, read_at = participant.messaging_binding, participant.last_read_timestamp
    info = None
    if participant.identity:
        info = object_name(ObjectKind.INFO, user_sid(chat_service_sid, participant.identity))
    return {
        "identity": participant.identity,
        "attributes": participant.attributes,
        "dateCreated": to_milliseconds(participant.date_created),
        "dateUpdated": to_milliseconds(participant.date_updated),
        "roleSid": participant.role_sid,
        "type": binding.type if binding else "chat",
        "lastConsumedMessageIndex": participant.last_read_message_index,
        "lastConsumptionTimestamp": to_milliseconds(read_at) if read_at else None,
        "userInfo": info,
        "bindings": _participant_bindings(participant),
    }


def message_data(message: Message) -> Data:
    """Return the item about a message in the Sync list of the conversation's messages."""
    medias = media_data(message)
    return {
        "sid": message.sid,
        "text": message.body,
        "type": "media" if medias else "text",
        "author": message.author,
        "subject": message.subject,
        "contentSid": message.content_sid,
        "attributes": message.attributes,
        "timestamp": to_milliseconds(message.date_created),
        "dateUpdated": to_milliseconds(message.date_updated),
        "lastUpdatedBy": message.last_updated_by,
        "memberSid": message.participant_sid,
        "medias": medias,
        "delivery": delivery_data(message),
        # No message has metadata, because no carrier gives Convoke metadata.
        "channelMetadata": False,
    }


def media_data(message: Message) -> list[Data]:
    """Return the media of a message.

    If the content type of a media is known, two keys contain it: `content_type` and `contentType`. The JavaScript SDK
    reads the second key.
    """
    return [
        {
            "category": "media",
            **media.model_dump(mode="json", exclude_none=True),
            **({"contentType": media.content_type} if media.content_type else {}),
        }
        for media in message.media
    ]


def delivery_data(message: Message) -> Data | None:
    """Return the delivery summary of a message, or None if the message has no receipts."""
    return message.delivery.model_dump(mode="json") if message.delivery else None


def user_data(user: User, *, is_online: bool) -> dict[str, Data]:
    """Return the items in the Sync map of a User's fields. The items are ordered by key."""
    return {
        ATTRIBUTES: {"value": user.attributes},
        NAME: {"value": user.friendly_name},
        REACHABILITY: reachability_data(is_online=is_online),
    }


def reachability_data(*, is_online: bool) -> Data:
    # Convoke sends no push notifications, so no User can be notified.
    return {"online": is_online, "notifiable": False}


def _described(conversation: Conversation) -> Data:
    return {
        "friendlyName": conversation.friendly_name,
        "uniqueName": conversation.unique_name,
        "attributes": conversation.attributes,
        "createdBy": conversation.created_by or SYSTEM,
        "dateCreated": to_milliseconds(conversation.date_created),
        "dateUpdated": to_milliseconds(conversation.date_updated),
    }


def _conversation_bindings(conversation: Conversation) -> Data:
    email = conversation.email
    return {"email": email.model_dump(mode="json", exclude_none=True)} if email else {}


def _participant_bindings(participant: Participant) -> Data:
    binding = participant.messaging_binding
    if binding is None or binding.type is not Channel.EMAIL:
        return {}
    return {"email": {"name": binding.name, "address": binding.address, "level": binding.level}}
