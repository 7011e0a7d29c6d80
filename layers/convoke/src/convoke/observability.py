"""Define the output formats of logs and metrics.

The modules outside `aws` write logs with the standard library. All modules record metrics with a `Metrics` object. The
engine chooses the output formats.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

NAMESPACE = "Convoke"


class Measure(StrEnum):
    CREATED = "ConversationsCreated"
    ACTIVATED = "ConversationsActivated"
    CLOSED = "ConversationsClosed"
    """The number of conversations that closed because their participants could not be added."""
    TIME_TO_ACTIVE = "TimeToActive"
    """The milliseconds from the creation of a conversation with participants until it has the requested state."""
    DELIVERED = "WebhooksDelivered"
    DELIVERY_FAILED = "WebhooksFailed"
    """The number of deliveries and events in the delivery queue that Convoke gave up.

    A failed attempt that is followed by a retry does not count, nor does a queue message that cannot be parsed.
    """


class Metrics(Protocol):
    def add(self, measure: Measure, value: float = 1) -> None: ...


class NoMetrics:
    """Implements `Metrics` for an engine without metrics: discards all values."""

    def add(self, measure: Measure, value: float = 1) -> None: ...


class EmfMetrics:
    """Implements `Metrics` with CloudWatch's embedded metric format. CloudWatch reads the values from the log.

    `flush` writes the recorded values to the log. Without recorded values, `flush` writes nothing.
    """

    def __init__(self, stack_name: str) -> None:
        # Import here, because only AWS needs this module, and the import would slow the start of the embedded engine.
        from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: PLC0415 - only for AWS

        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=stack_name)

    def add(self, measure: Measure, value: float = 1) -> None:
        unit = "Milliseconds" if measure is Measure.TIME_TO_ACTIVE else "Count"
        self._metrics.add_metric(measure, unit, value)

    def flush(self) -> None:
        if self._metrics.metric_set:
            self._metrics.flush_metrics()


def json_logger(stack_name: str) -> Logger:
    """Return the logger of the package `convoke`, which writes JSON lines to stdout.

    The loggers of Convoke's modules are its children, and therefore use its output.
    """
    # Import here, because only AWS needs this module, and the import would slow the start of the embedded engine.
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - only for AWS

    return Logger(service=__package__, stack=stack_name, utc=True, use_rfc3339=True)


class ConsoleFormatter(logging.Formatter):
    """Formats a log record for people: one line that ends with the `extra` values as JSON.

    If the record contains an exception, the traceback follows on further lines.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in the base class
        extra = _extra_of(record)
        return super().formatMessage(record) + (f" {json.dumps(extra, default=str)}" if extra else "")


class JsonFormatter(logging.Formatter):
    """Formats a log record as one line with a JSON object. Each `extra` value has its own key."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **_extra_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _extra_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
