"""`/Users`: fetch and update a User."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from convoke.api.chat.acting import principal_of, request_webhooks, service_url
from convoke.api.chat.parameters import parse
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.permissions import Action
from convoke.domain.sync_objects import ObjectKind, object_name
from convoke.domain.users import User, UserChange


def represent(request: ChatRequest, user: User) -> dict[str, Any]:
    url = service_url(request, f"/Users/{user.sid}")
    return {
        "sid": user.sid,
        "identity": user.identity,
        "friendly_name": user.friendly_name,
        "attributes": user.attributes,
        "sync_objects": {"user_info_map": object_name(ObjectKind.INFO, user.sid)},
        "links": {"self": url, "user_conversations": f"{url}/Conversations"},
    }


def fetch(operations: Operations, request: ChatRequest, sid: str) -> ChatAnswer:
    """Return a User. `sid` is the SID or the identity. Every chat user may see all Users of the service."""
    return ChatAnswer(HTTPStatus.OK, represent(request, operations.users.fetch(request.service, sid)))


def update(operations: Operations, request: ChatRequest, sid: str) -> ChatAnswer:
    principal = principal_of(operations, request)
    user = operations.users.fetch(request.service, sid)
    principal.check(Action.EDIT_USER, own=user.sid == request.user_sid)
    updated = operations.users.update(
        request.service,
        user.sid,
        parse(UserChange, request.body, ("friendly_name", "attributes"), clearable=("friendly_name",)),
        request_webhooks=request_webhooks(operations, request),
    )
    return ChatAnswer(HTTPStatus.OK, represent(request, updated))
