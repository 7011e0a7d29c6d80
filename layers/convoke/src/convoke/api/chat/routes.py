"""The table of all routes of the chat API: method, path and handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, NamedTuple

from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.resources import registrations
from convoke.api.operations import Operations


class ChatRoute(NamedTuple):
    """A route for chat clients. The handler gets the decoded values in the path as keyword arguments."""

    method: str
    rule: str
    handler: Callable[Concatenate[Operations, ChatRequest, ...], ChatAnswer]


CHAT_ROUTES: tuple[ChatRoute, ...] = (
    ChatRoute("POST", "/v1/registrations", registrations.create),
    ChatRoute("DELETE", "/v1/registrations", registrations.delete),
    ChatRoute("DELETE", "/v1/registrations/<registration_id>", registrations.delete),
)
