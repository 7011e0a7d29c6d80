"""`/Conversations`: create, fetch, update and delete a conversation."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from convoke.api.chat.acting import checked_webhooks, enter, principal_of, request_webhooks, service_url
from convoke.api.chat.parameters import is_given, parse
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.api.resources.participant_conversations import CREATED_BY_ACCOUNT
from convoke.domain.conversations import Conversation, ConversationChange, NewConversation
from convoke.domain.instants import to_milliseconds
from convoke.domain.participants import NotificationLevel, Participant
from convoke.domain.permissions import Action
from convoke.domain.sync_objects import ObjectKind, object_name
from convoke.domain.user_conversations import unread_messages

NAMES = ("friendly_name", "unique_name")
PARAMETERS = (*NAMES, "attributes")


def represent(request: ChatRequest, conversation: Conversation, participant: Participant | None) -> dict[str, Any]:
    """Return what a user sees of a conversation.

    `participant` is the user's participant, or None if the user is not a participant.
    """
    url = service_url(request, f"/Conversations/{conversation.sid}")
    return {
        "sid": conversation.sid,
        "conversation_sid": conversation.sid,
        "friendly_name": conversation.friendly_name,
        "unique_name": conversation.unique_name,
        "attributes": conversation.attributes,
        "date_created": to_milliseconds(conversation.date_created),
        "date_updated": to_milliseconds(conversation.date_updated),
        "created_by": conversation.created_by or CREATED_BY_ACCOUNT,
        "state": conversation.state,
        **_membership(conversation, participant),
        "participants_count": conversation.members,
        "messages_count": conversation.messages,
        "sync_objects": {
            "conversation": object_name(ObjectKind.CHANNEL, conversation.sid),
            "messages": object_name(ObjectKind.MESSAGES, conversation.sid),
            "participants": object_name(ObjectKind.ROSTER, conversation.sid),
        },
        "links": {"self": url, "messages": f"{url}/Messages", "participants": f"{url}/Participants"},
    }


def _membership(conversation: Conversation, participant: Participant | None) -> dict[str, Any]:
    if participant is None:
        return {
            "status": "notParticipating",
            "notification_level": None,
            "last_read_message_index": None,
            "unread_messages_count": None,
        }
    return {
        "status": "joined",
        "notification_level": participant.notification_level or NotificationLevel.DEFAULT,
        "last_read_message_index": participant.last_read_message_index,
        "unread_messages_count": unread_messages(conversation, participant),
    }


def create(operations: Operations, request: ChatRequest) -> ChatAnswer:
    """Create a conversation without participants. To join the conversation, the client sends another call."""
    principal_of(operations, request).check(Action.CREATE_CONVERSATION)
    created = operations.conversation_with_participants.create(
        request.account,
        request.service,
        parse(NewConversation, request.body, PARAMETERS),
        (),
        request_webhooks=request_webhooks(operations, request),
    )
    return ChatAnswer(HTTPStatus.CREATED, represent(request, created.conversation, None))


def fetch(operations: Operations, request: ChatRequest, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, sid)
    principal.check_visible(conversation)
    return ChatAnswer(HTTPStatus.OK, represent(request, conversation, principal.participant))


def update(operations: Operations, request: ChatRequest, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, sid)
    if any(is_given(request.body, name, NAMES) for name in NAMES):
        principal.check(Action.RENAME_CONVERSATION)
    if is_given(request.body, "attributes"):
        principal.check(Action.EDIT_CONVERSATION_ATTRIBUTES)
    principal.check_visible(conversation)
    updated = operations.conversations.update(
        request.service,
        conversation.sid,
        parse(ConversationChange, request.body, PARAMETERS, clearable=NAMES),
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.OK, represent(request, updated, principal.participant))


def delete(operations: Operations, request: ChatRequest, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, sid)
    principal.check(Action.DELETE_CONVERSATION)
    operations.conversations.delete(
        request.service,
        conversation.sid,
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.NO_CONTENT)
