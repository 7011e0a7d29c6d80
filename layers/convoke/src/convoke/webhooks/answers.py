"""Define the answers and the errors of the HTTP clients, so that other modules need not import the clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """The first part of the body. The caller chooses the maximum number of bytes."""


class WebhookUnreachableError(Exception):
    """No answer arrived, or the content of a media file did not arrive completely.

    For example, the connection failed or was not allowed. The error text contains only the reason, and no part of the
    URL.
    """

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """The entry that the error log gets for this failure."""

    is_sent = True
    """Whether the receiver may have got a part of the request. False if the client could not connect to the host."""


class WebhookLateError(WebhookUnreachableError):
    """No answer arrived in time, or the content of a media file did not arrive completely in time."""

    entry = WebhookTimeoutError


class FetchedMedia(NamedTuple):
    """The answer to a request for a media file."""

    content_type: str
    """The header `Content-Type`, or an empty text if the answer lacks this header."""
    filename: str | None
    parts: Iterator[bytes]
    """The parts of the content, which the client reads from the connection one by one."""


class MediaRefusedError(Exception):
    """The URL does not lead to a media file. The error text contains only the reason, and no part of the URL."""
