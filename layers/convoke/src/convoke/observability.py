"""Logs and metrics.

Modules log with the standard library and count with a `Metrics`. An engine chooses the output format from this module.
"""

from __future__ import annotations

import json
import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

NAMESPACE = "Convoke"


class Measure(StrEnum):
    """The CloudWatch metrics, by name."""

    CREATED = "ConversationsCreated"
    ACTIVATED = "ConversationsActivated"
    CLOSED = "ConversationsClosed"
    """Conversations that were closed because their participants could not be added."""
    TIME_TO_ACTIVE = "TimeToActive"
    """Milliseconds from the request to the requested state of the conversation."""
    DELIVERED = "WebhooksDelivered"
    DELIVERY_FAILED = "WebhooksFailed"
    """Deliveries that were given up. A single failed attempt does not count."""


class Metrics(Protocol):
    def add(self, measure: Measure, value: float = 1) -> None: ...


class NoMetrics:
    """A `Metrics` that discards everything, for an engine without metrics."""

    def add(self, measure: Measure, value: float = 1) -> None: ...


class EmfMetrics:
    """Metrics in CloudWatch's embedded metric format, which CloudWatch reads from the log.

    `flush` writes one line for an invocation that has counted something.
    """

    def __init__(self, stack_name: str) -> None:
        # The embedded engine counts nothing, so it does not pay for this import.
        from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: PLC0415 - only for AWS

        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=stack_name)

    def add(self, measure: Measure, value: float = 1) -> None:
        unit = "Milliseconds" if measure is Measure.TIME_TO_ACTIVE else "Count"
        self._metrics.add_metric(measure, unit, value)

    def flush(self) -> None:
        if self._metrics.metric_set:
            self._metrics.flush_metrics()


def json_logger(stack_name: str) -> Logger:
    """Return the parent logger of all modules of this package, which writes JSON lines to stdout."""
    # The embedded engine logs with the standard library, so it does not pay for this import.
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - only for AWS

    return Logger(service=__package__, stack=stack_name, utc=True, use_rfc3339=True)


class ConsoleFormatter(logging.Formatter):
    """Formats a record as one readable line that ends with its `extra` values as JSON."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
        return super().formatMessage(record) + (f" {json.dumps(extra, default=str)}" if extra else "")
