"""The answer and the errors of a webhook call. Importing this module does not import the HTTP client."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """The body, cut off after the maximum number of bytes that the caller requested."""


class WebhookUnreachableError(Exception):
    """No answer arrived, because the connection failed or a time limit was exceeded.

    The error text contains only this reason.
    """

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """The class of the entry in the error log."""


class WebhookLateError(WebhookUnreachableError):
    """No answer arrived within the time limit."""

    entry = WebhookTimeoutError
