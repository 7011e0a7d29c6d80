"""`/Conversations/{sid}/Messages/{sid}/ChannelMetadata`. Convoke stores no metadata of channels."""

from __future__ import annotations

from convoke.api.chat.acting import enter
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.errors import ChannelMetadataNotFoundError


def fetch(operations: Operations, request: ChatRequest, conversation_sid: str, message_sid: str) -> ChatAnswer:
    """Raise ChannelMetadataNotFoundError if the message exists. After any other error, a client repeats the call."""
    conversation, principal = enter(operations, request, conversation_sid)
    principal.check_visible(conversation)
    operations.messages.fetch(request.service, conversation.sid, message_sid)
    raise ChannelMetadataNotFoundError
