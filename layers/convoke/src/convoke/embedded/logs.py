"""Write the log lines and metrics of an operation only after its unit is committed.

A unit is the set of writes of one commit (see `unit.py`). If the commit fails, the operation has no effect, so its log
lines and metrics are discarded.
"""

from __future__ import annotations

import logging
from functools import partial

import convoke
from convoke.embedded import failures
from convoke.embedded.unit import open_unit
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import Measure, Metrics

PREFIX = f"{convoke.__name__}."
"""The start of the names of all loggers of Convoke."""


def hold(record: logging.LogRecord) -> bool:
    """Return whether a logger must write a record now. This function is a logging filter.

    If the calling thread has an open unit, return False, and let the unit write the record after the commit. Without an
    open unit, return True, because the operation has changed nothing, or its unit is already committed. There are two
    exceptions:

    - Return True for the records of the module `failures`. These records report that the data file or the media folder
      failed, so they must not wait for a commit.
    - Return False for a record about an error that the module `failures` has already reported. This record is
      discarded.
    """
    if record.exc_info and failures.is_reported(record.exc_info[1]):
        # `StorageFailures` has logged this failure, or another failure less than a minute ago.
        return False
    unit = open_unit()
    if unit is None or record.name == failures.logger.name:
        return True
    unit.on_commit.append(partial(logging.getLogger(record.name).callHandlers, record))
    return False


def hold_log_lines() -> None:
    """Add the filter `hold` to all loggers of Convoke, also to the loggers of modules that are imported later.

    Each module creates its logger during the import. Many modules are imported only at the first request that needs
    them, and this request may have an open unit.
    """
    # A filter of the logger `convoke` would not be enough, because a logger does not filter the records of child
    # loggers.
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(PREFIX):
            logging.getLogger(name).addFilter(hold)
    if not issubclass(logging.getLoggerClass(), HoldingLogger):
        logging.setLoggerClass(_holding(logging.getLoggerClass()))


class HoldingLogger(logging.Logger):
    """A logger that adds the filter `hold` to itself if the logger belongs to Convoke."""

    def __init__(self, name: str, level: int = logging.NOTSET) -> None:
        super().__init__(name, level)
        if name.startswith(PREFIX):
            self.addFilter(hold)


def _holding(base: type[logging.Logger]) -> type[logging.Logger]:
    """Return a logger class that is a HoldingLogger and inherits from `base`.

    `base` is the current logger class. Another library may have set this class.
    """
    return HoldingLogger if base is logging.Logger else type("HoldingLogger", (HoldingLogger, base), {})


@lean_dataclass
class HeldMetrics:
    """Implements `Metrics`. If the calling thread has an open unit, the values are recorded after the commit."""

    metrics: Metrics

    def add(self, measure: Measure, value: float = 1) -> None:
        unit = open_unit()
        if unit is None:
            self.metrics.add(measure, value)
        else:
            unit.on_commit.append(partial(self.metrics.add, measure, value))
