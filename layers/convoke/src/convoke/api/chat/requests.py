"""A REST call from a chat client, and the answer to the call. Each call arrives inside a frame of a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convoke.domain.accounts import Account
from convoke.domain.services import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A call from a chat client whose access token was verified."""

    account: Account
    service: Service
    identity: str
    user_sid: str
    method: str
    path: str
    """The path as the client wrote it, with percent-encoding."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The query parameters, without percent-encoding."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers. All names are in lower case."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The fields in the body, which is a JSON object or a form."""
    base_url: str
    """The URL before the path of the API, as the client wrote it."""


@dataclass(slots=True)
class ChatAnswer:
    status: int
    body: dict[str, Any] | list[Any] | None = None
    """The JSON body, or None if the answer has no body."""
    headers: dict[str, str] = field(default_factory=dict)
