"""The routes of the chat API. Each route has a method, a path and a handler.

Two calls have no route here, because their handlers need the hub: typing (embedded/chat/typing.py) and subscriptions
(embedded/chat/server.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, NamedTuple

from convoke.api.chat.acting import CHAT_PREFIX
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.resources import (
    channel_metadata,
    configuration,
    content_templates,
    conversations,
    messages,
    participants,
    receipts,
    registrations,
    sync,
    user_conversations,
    users,
)
from convoke.api.operations import Operations
from convoke.domain.errors import NotFoundError

Handler = Callable[Concatenate[Operations, ChatRequest, ...], ChatAnswer]


class ChatRoute(NamedTuple):
    """A route for chat clients. The handler gets the decoded path values as keyword arguments."""

    method: str
    rule: str
    handler: Handler


def _of_service(method: str, path: str, handler: Handler) -> ChatRoute:
    """Return a route whose path contains the service SID.

    The handler raises NotFoundError if the path names another service than the user's service.
    """

    def checked(operations: Operations, request: ChatRequest, *, chat_service_sid: str, **values: str) -> ChatAnswer:
        if chat_service_sid != request.service.sid:
            raise NotFoundError
        return handler(operations, request, **values)

    return ChatRoute(method, f"{CHAT_PREFIX}/Services/<chat_service_sid>{path}", checked)


CONVERSATION = "/Conversations/<conversation_sid>"

CHAT_ROUTES: tuple[ChatRoute, ...] = (
    ChatRoute("GET", f"{CHAT_PREFIX}/Configuration", configuration.fetch),
    ChatRoute("GET", f"{CHAT_PREFIX}/ContentTemplates", content_templates.list_),
    _of_service("POST", "/Conversations", conversations.create),
    _of_service("GET", "/Conversations/<sid>", conversations.fetch),
    _of_service("POST", "/Conversations/<sid>", conversations.update),
    _of_service("DELETE", "/Conversations/<sid>", conversations.delete),
    _of_service("POST", f"{CONVERSATION}/Participants", participants.create),
    _of_service("POST", f"{CONVERSATION}/Participants/<sid>", participants.update),
    _of_service("DELETE", f"{CONVERSATION}/Participants/<sid>", participants.delete),
    _of_service("POST", f"{CONVERSATION}/Messages", messages.create),
    _of_service("POST", f"{CONVERSATION}/Messages/<sid>", messages.update),
    _of_service("DELETE", f"{CONVERSATION}/Messages/<sid>", messages.delete),
    _of_service("GET", f"{CONVERSATION}/Messages/<message_sid>/Receipts", receipts.list_),
    _of_service("GET", f"{CONVERSATION}/Messages/<message_sid>/ChannelMetadata", channel_metadata.fetch),
    _of_service("GET", "/Users/<sid>", users.fetch),
    _of_service("POST", "/Users/<sid>", users.update),
    _of_service("GET", "/Users/<user_sid>/Conversations", user_conversations.list_),
    _of_service("GET", "/Users/<user_sid>/Conversations/<conversation_sid>", user_conversations.fetch),
    _of_service("POST", "/Users/<user_sid>/Conversations/<conversation_sid>", user_conversations.update),
    ChatRoute("GET", "/v3/Maps/<name>", sync.fetch_map),
    ChatRoute("GET", "/v3/Maps/<name>/Items", sync.list_map_items),
    ChatRoute("GET", "/v3/Lists/<name>", sync.fetch_list),
    ChatRoute("GET", "/v3/Lists/<name>/Items", sync.list_list_items),
    ChatRoute("GET", "/v3/Documents/<name>", sync.fetch_document),
    *(
        ChatRoute(method, f"/v3/{kind}{path}", sync.refuse)
        for kind in ("Maps", "Lists", "Documents")
        for path in ("", "/<name>", "/<name>/Items", "/<name>/Items/<key>")
        for method in ("POST", "DELETE")
    ),
    ChatRoute("POST", "/v1/registrations", registrations.create),
    ChatRoute("DELETE", "/v1/registrations", registrations.delete),
    ChatRoute("DELETE", "/v1/registrations/<registration_id>", registrations.delete),
)
