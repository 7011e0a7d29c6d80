"""`/Conversations/{sid}/Messages`: send, update and delete messages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from convoke.api.chat.acting import checked_webhooks, enter, service_url
from convoke.api.chat.parameters import is_given, parse, text_fields, validated
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.instants import to_milliseconds
from convoke.domain.messages import Message, MessageChange, NewMediaMessage
from convoke.domain.permissions import Action

PARAMETERS = ("body", "subject", "attributes", "content_sid", "content_variables")

ACTIONS = {"body": Action.EDIT_MESSAGE, "attributes": Action.EDIT_MESSAGE_ATTRIBUTES}
"""Maps each parameter of an update to the action for which the user needs a permission."""


def represent(request: ChatRequest, message: Message) -> dict[str, Any]:
    url = service_url(request, f"/Conversations/{message.conversation_sid}")
    return {
        "sid": message.sid,
        "index": message.index,
        "author": message.author,
        "participant_sid": message.participant_sid,
        "body": message.body,
        "attributes": message.attributes,
        "date_created": to_milliseconds(message.date_created),
        "date_updated": to_milliseconds(message.date_updated),
        "links": {"conversation": url, "messages_receipts": f"{url}/Messages/{message.sid}/Receipts"},
    }


def create(operations: Operations, request: ChatRequest, conversation_sid: str) -> ChatAnswer:
    """Send a message whose author is the user."""
    conversation, principal = enter(operations, request, conversation_sid)
    principal.check(Action.SEND_MEDIA if request.body.get("media_sids") else Action.SEND_MESSAGE)
    created = operations.messages.create(
        request.service,
        conversation.sid,
        _requested(request),
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.CREATED, represent(request, created))


def update(operations: Operations, request: ChatRequest, conversation_sid: str, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, conversation_sid)
    actions = [action for name, action in ACTIONS.items() if is_given(request.body, name)] or [Action.EDIT_MESSAGE]
    # Check the permissions before the message is fetched. A user without permission must not learn which messages
    # exist.
    for action in actions:
        principal.check(action, own=True)
    message = operations.messages.fetch(request.service, conversation.sid, sid)
    for action in actions:
        principal.check(action, own=message.author == request.identity)
    updated = operations.messages.update(
        request.service,
        conversation.sid,
        message.sid,
        parse(MessageChange, request.body, ACTIONS),
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.OK, represent(request, updated))


def delete(operations: Operations, request: ChatRequest, conversation_sid: str, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, conversation_sid)
    principal.check(Action.DELETE_MESSAGE, own=True)
    message = operations.messages.fetch(request.service, conversation.sid, sid)
    principal.check(Action.DELETE_MESSAGE, own=message.author == request.identity)
    operations.messages.delete(
        request.service,
        conversation.sid,
        message.sid,
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.NO_CONTENT)


def _requested(request: ChatRequest) -> NewMediaMessage:
    media_sids = request.body.get("media_sids") or ()
    given = {**text_fields(request.body, PARAMETERS), "author": request.identity, "media_sids": media_sids}
    return validated(NewMediaMessage, given)
