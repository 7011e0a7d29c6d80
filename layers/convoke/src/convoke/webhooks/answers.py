"""The answer to a webhook call, and the errors of a webhook call. This module does not import the HTTP client."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """The body. A long body is cut off after the maximum number of bytes that the caller has given."""


class WebhookUnreachableError(Exception):
    """No answer arrived. Either the connection failed, or the time limit was exceeded.

    The error text contains only the reason.
    """

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """The class that describes the failure in the error log."""


class WebhookLateError(WebhookUnreachableError):
    """No answer arrived within the time limit."""

    entry = WebhookTimeoutError
