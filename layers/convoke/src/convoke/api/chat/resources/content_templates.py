"""`/ContentTemplates`. Convoke stores no content templates, so the list is always empty."""

from __future__ import annotations

from http import HTTPStatus

from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations


def list_(_: Operations, __: ChatRequest) -> ChatAnswer:
    return ChatAnswer(HTTPStatus.OK, {"templates": [], "meta": {"previous_token": None, "next_token": None}})
