"""`/v1/registrations`: accept registrations for push notifications, but store nothing.

Convoke sends no push notifications. See docs/chat.md#limits.
"""

from __future__ import annotations

from http import HTTPStatus
from uuid import uuid4

from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations


def create(_: Operations, __: ChatRequest) -> ChatAnswer:
    """Return a new id. The client uses the id only to delete the registration."""
    return ChatAnswer(HTTPStatus.CREATED, {"id": uuid4().hex})


def delete(_: Operations, __: ChatRequest, registration_id: str = "") -> ChatAnswer:  # noqa: ARG001 - not stored
    return ChatAnswer(HTTPStatus.NO_CONTENT)
