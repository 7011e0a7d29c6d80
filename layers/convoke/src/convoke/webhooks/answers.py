"""What a webhook call returns or raises. Importing this module does not import the HTTP client."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """At most as many bytes as the caller asked for."""


class WebhookUnreachableError(Exception):
    """No answer arrived: no connection, or a time limit. The text names the cause and nothing else."""

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """The kind of entry that the error log gets."""


class WebhookLateError(WebhookUnreachableError):
    """No answer arrived within the time limit."""

    entry = WebhookTimeoutError
