"""A REST call from a chat client and the answer. The call arrives in a frame of the client's WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convoke.domain.accounts import Account
from convoke.domain.services import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A REST call from a chat client. The client's access token is already verified."""

    account: Account
    service: Service
    identity: str
    user_sid: str
    method: str
    path: str
    """The path as the client sent it, still percent-encoded."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The query parameters, already percent-decoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers, with names in lower case."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the body. The body is a JSON object or a form."""
    base_url: str
    """The base URL that the client uses, without the path."""


@dataclass(slots=True)
class ChatAnswer:
    status: int
    body: dict[str, Any] | list[Any] | None = None
    """The JSON body, or None if the answer has no body."""
    headers: dict[str, str] = field(default_factory=dict)
