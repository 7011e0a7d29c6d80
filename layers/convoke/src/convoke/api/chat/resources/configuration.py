"""`/Configuration`: what a chat client must know before its first other call."""

from __future__ import annotations

from http import HTTPStatus

from convoke.api.chat.acting import service_url
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE
from convoke.domain.sync_objects import ObjectKind, object_name

USER_INFOS_TO_SUBSCRIBE = 100
"""The maximum number of Users whose changes a client follows."""

REPORT_INTERVAL = "PT1S"
"""The interval between two read positions that a client sends, and the lifetime of the cache of a client."""


def fetch(_: Operations, request: ChatRequest) -> ChatAnswer:
    user, media = f"/Users/{request.user_sid}", f"{request.base_url}/v1/Services/{request.service.sid}"
    configuration = {
        "identity": request.identity,
        "options": {
            "consumption_report_interval": REPORT_INTERVAL,
            "http_cache_interval": REPORT_INTERVAL,
            "user_infos_to_subscribe": USER_INFOS_TO_SUBSCRIBE,
            "reachability_enabled": request.service.reachability_enabled,
            "my_conversations_page_size": MAX_SMALL_PAGE_SIZE,
        },
        "sync_objects": {
            "my_conversations": object_name(ObjectKind.CHANNELS, request.identity),
            "my_user_info": object_name(ObjectKind.INFO, request.user_sid),
        },
        "links": {
            "my_conversations": service_url(request, f"{user}/Conversations"),
            "conversations": service_url(request, "/Conversations"),
            "users": service_url(request, "/Users"),
            "current_user": service_url(request, user),
            "typing": f"{request.base_url}/v1/Instances/{request.service.sid}/Typing",
            "media_service": f"{media}/Media",
            "media_set_service": f"{media}/MediaSet",
            "messages_receipts": service_url(request, "/Conversations/%s/Messages/%s/Receipts"),
        },
    }
    return ChatAnswer(HTTPStatus.OK, configuration)
