"""`/Users/{sid}/Conversations`: the conversations of the user, with the read position and the notification level."""

from __future__ import annotations

import json
from http import HTTPStatus

from convoke.api.chat.acting import checked_webhooks, enter, service_path
from convoke.api.chat.pagination import ChatPagination
from convoke.api.chat.parameters import validated
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.resources.conversations import represent
from convoke.api.operations import Operations
from convoke.domain.errors import NotPermittedError
from convoke.domain.participant_requests import NULL
from convoke.domain.permissions import Action
from convoke.domain.user_conversations import UserConversationChange

PARAMETERS = ("notification_level", "last_read_message_index")


def list_(operations: Operations, request: ChatRequest, user_sid: str) -> ChatAnswer:
    _check_own(request, user_sid)
    pagination = ChatPagination(operations, request, service_path(request, f"/Users/{request.user_sid}/Conversations"))
    page = operations.user_conversations.list(request.service, request.user_sid, pagination.page_request)
    conversations = [represent(request, each.conversation, each.participant) for each in page.resources]
    meta = pagination.meta(page, lambda each: each.participant.sid)
    return ChatAnswer(HTTPStatus.OK, {"conversations": conversations, "meta": meta})


def fetch(operations: Operations, request: ChatRequest, user_sid: str, conversation_sid: str) -> ChatAnswer:
    _check_own(request, user_sid)
    conversation, principal = enter(operations, request, conversation_sid)
    return ChatAnswer(HTTPStatus.OK, represent(request, conversation, principal.check_participates()))


def update(operations: Operations, request: ChatRequest, user_sid: str, conversation_sid: str) -> ChatAnswer:
    """Update the user's read position, notification level, or both.

    Only a change of the notification level needs a permission.
    """
    _check_own(request, user_sid)
    conversation, principal = enter(operations, request, conversation_sid)
    participant = principal.check_participates()
    if "notification_level" in request.body:
        principal.check(Action.EDIT_NOTIFICATION_LEVEL)
    given = {name: _text(request.body[name]) for name in PARAMETERS if name in request.body}
    if given:
        participant = operations.participants.update_read_state(
            request.service,
            conversation.sid,
            participant.sid,
            validated(UserConversationChange, given),
            request_webhooks=checked_webhooks(operations, request, conversation, principal),
        )
    return ChatAnswer(HTTPStatus.OK, represent(request, conversation, participant))


def _check_own(request: ChatRequest, user_sid: str) -> None:
    if user_sid not in (request.user_sid, request.identity):
        raise NotPermittedError


def _text(value: object) -> str:
    """Return the text that a form would contain for a JSON value. A number or null becomes its JSON text."""
    return value if isinstance(value, str) else json.dumps(value) if value is not None else NULL
