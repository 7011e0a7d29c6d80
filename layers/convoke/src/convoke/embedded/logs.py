"""Write the log lines and metrics of an operation after the commit of the operation's unit.

If the commit fails, the operation has not happened, so its log lines and metrics are dropped together with the unit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import convoke
from convoke.embedded import failures
from convoke.embedded.unit import open_unit
from convoke.observability import Measure, Metrics


def hold(record: logging.LogRecord) -> bool:
    """Decide, as a filter of a logger, whether the log line is written now.

    If the thread that logs has an open unit, the log line is written after the commit. Otherwise the operation either
    has changed nothing, or its unit is already committed.
    """
    if record.exc_info and failures.is_reported(record.exc_info[1]):
        # `DataFileFailures` has already logged the failure, or logs no more failures in this minute.
        return False
    unit = open_unit()
    if unit is None or record.name == failures.logger.name:
        return True
    unit.on_commit.append(partial(logging.getLogger(record.name).callHandlers, record))
    return False


def hold_log_lines() -> None:
    """Add the filter `hold` to all loggers of this package. Call this function after all modules were imported."""
    # A filter of the logger `convoke` is not enough, because a logger does not filter the records of its children.
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(f"{convoke.__name__}."):
            logging.getLogger(name).addFilter(hold)


@dataclass(frozen=True, slots=True)
class HeldMetrics:
    """Implements Metrics. Records the values after the commit of the unit that is open in the calling thread."""

    metrics: Metrics

    def add(self, measure: Measure, value: float = 1) -> None:
        unit = open_unit()
        if unit is None:
            self.metrics.add(measure, value)
        else:
            unit.on_commit.append(partial(self.metrics.add, measure, value))
