"""`/Conversations/{sid}/Messages/{sid}/ChannelMetadata`: always an error. Convoke stores no channel metadata."""

from __future__ import annotations

from convoke.api.chat.acting import enter
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.errors import ChannelMetadataNotFoundError


def fetch(operations: Operations, request: ChatRequest, conversation_sid: str, message_sid: str) -> ChatAnswer:
    """Raise ChannelMetadataNotFoundError if the client may see the message, otherwise another error.

    If the message does not exist, the other error is NotFoundError. The SDK repeats the call after every error except
    ChannelMetadataNotFoundError.
    """
    conversation, principal = enter(operations, request, conversation_sid)
    principal.check_visible(conversation)
    operations.messages.fetch(request.service, conversation.sid, message_sid)
    raise ChannelMetadataNotFoundError
