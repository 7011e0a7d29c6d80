"""The answers and the errors of the HTTP clients. This module does not import the modules of the clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """The first part of the body, up to the maximum number of bytes that the caller has given."""


class WebhookUnreachableError(Exception):
    """No answer arrived. Either the connection failed, or the time limit was exceeded.

    The error text contains only the reason.
    """

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """The class that describes the failure in the error log."""

    is_sent = True
    """Whether a part of the request may have been sent. False if there was no connection."""


class WebhookLateError(WebhookUnreachableError):
    """No answer arrived within the time limit."""

    entry = WebhookTimeoutError


class FetchedMedia(NamedTuple):
    """The answer to the request for a media."""

    content_type: str
    """The value of the header `Content-Type`. The value is empty if the answer does not have this header."""
    filename: str | None
    parts: Iterator[bytes]
    """The parts of the content. Each part arrives while the caller reads it."""


class MediaRefusedError(Exception):
    """The answer contains no media. The error text contains only the reason."""
