"""Logs and metrics. Modules log by the standard library and count by a `Metrics`; an engine chooses the form here."""

from __future__ import annotations

import json
import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

NAMESPACE = "Convoke"


class Measure(StrEnum):
    """What is counted, by the name of its CloudWatch metric."""

    CREATED = "ConversationsCreated"
    ACTIVATED = "ConversationsActivated"
    CLOSED = "ConversationsClosed"
    """Those whose participants could not be added."""
    TIME_TO_ACTIVE = "TimeToActive"
    """Milliseconds from the request to the state that it asked for."""
    DELIVERED = "WebhooksDelivered"
    DELIVERY_FAILED = "WebhooksFailed"
    """Those given up, not each attempt."""


class Metrics(Protocol):
    def add(self, measure: Measure, value: float = 1) -> None: ...


class NoMetrics:
    """For an engine whose figures nobody collects."""

    def add(self, measure: Measure, value: float = 1) -> None: ...


class EmfMetrics:
    """Metrics in CloudWatch's embedded metric format: one line of the log for an invocation that counted something."""

    def __init__(self, stack_name: str) -> None:
        from aws_lambda_powertools.metrics import EphemeralMetrics

        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=stack_name)

    def add(self, measure: Measure, value: float = 1) -> None:
        unit = "Milliseconds" if measure is Measure.TIME_TO_ACTIVE else "Count"
        self._metrics.add_metric(measure, unit, value)

    def flush(self) -> None:
        if self._metrics.metric_set:
            self._metrics.flush_metrics()


def json_logger(stack_name: str) -> Logger:
    """The logger of every module of this package, as lines of JSON on stdout."""
    from aws_lambda_powertools import Logger

    return Logger(service=__package__, stack=stack_name, utc=True, use_rfc3339=True)


class ConsoleFormatter(logging.Formatter):
    """One line for people, with what was given as `extra` behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return super().formatMessage(record) + (f" {json.dumps(extra, default=str)}" if extra else "")
