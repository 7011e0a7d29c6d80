"""`/Conversations/{sid}/Messages/{sid}/Receipts`: the delivery receipts of a message."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from convoke.api.chat.acting import enter, service_path
from convoke.api.chat.pagination import ChatPagination
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.instants import to_milliseconds
from convoke.domain.receipts import Receipt


def represent(receipt: Receipt) -> dict[str, Any]:
    return {
        "sid": receipt.sid,
        "conversation_sid": receipt.conversation_sid,
        "message_sid": receipt.message_sid,
        "channel_message_sid": receipt.channel_message_sid,
        "participant_sid": receipt.participant_sid,
        "status": receipt.shown_status,
        "error_code": receipt.error_code,
        "date_created": to_milliseconds(receipt.date_created),
        "date_updated": to_milliseconds(receipt.date_updated) if receipt.date_updated else None,
    }


def list_(operations: Operations, request: ChatRequest, conversation_sid: str, message_sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, conversation_sid)
    principal.check_visible(conversation)
    path = service_path(request, f"/Conversations/{conversation.sid}/Messages/{message_sid}/Receipts")
    pagination = ChatPagination(operations, request, path)
    page = operations.receipts.list(request.service, conversation.sid, message_sid, pagination.page_request)
    meta = pagination.meta(page, lambda receipt: receipt.sid)
    return ChatAnswer(HTTPStatus.OK, {"delivery_receipts": [*map(represent, page.resources)], "meta": meta})
