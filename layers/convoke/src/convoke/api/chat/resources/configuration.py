"""`/Configuration`: the settings and the links that a chat client fetches before any other call."""

from __future__ import annotations

from http import HTTPStatus

from convoke.api.chat.acting import service_url
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE
from convoke.domain.media import MAX_MEDIA
from convoke.domain.sync_objects import ObjectKind, object_name

USER_INFOS_TO_SUBSCRIBE = 100
"""The maximum number of Users that one client observes for changes."""

REPORT_INTERVAL = "PT1S"
"""How often a client sends its read positions. The client also caches responses for this time."""


EMAIL_TYPES = ("text/plain", "text/html")
"""The media types that an e-mail can contain. Clients need this list even if no message is an e-mail."""

MEGABYTE = 1024 * 1024


def fetch(operations: Operations, request: ChatRequest) -> ChatAnswer:
    media_megabytes = operations.media.max_upload_bytes // MEGABYTE
    user, media = f"/Users/{request.user_sid}", f"{request.base_url}/v1/Services/{request.service.sid}"
    configuration = {
        "identity": request.identity,
        "options": {
            "consumption_report_interval": REPORT_INTERVAL,
            "http_cache_interval": REPORT_INTERVAL,
            "user_infos_to_subscribe": USER_INFOS_TO_SUBSCRIBE,
            "reachability_enabled": request.service.reachability_enabled,
            "my_conversations_page_size": MAX_SMALL_PAGE_SIZE,
            "media_attachments_count_limit": MAX_MEDIA,
            "media_attachment_size_limit_in_mb": media_megabytes,
            "media_attachments_total_size_limit_in_mb": MAX_MEDIA * media_megabytes,
            "email_histories_allowed_mime_types": EMAIL_TYPES,
            "email_bodies_allowed_mime_types": EMAIL_TYPES,
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
