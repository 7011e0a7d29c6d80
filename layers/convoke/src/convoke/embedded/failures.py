"""Report failures of the data file. The process writes at most one log line about such failures each minute."""

from __future__ import annotations

import logging
import threading
import time

from convoke.domain.errors import UnavailableError

logger = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 60.0


class LogLimit:
    """Limits how often the process writes a log line. This class is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_logged = float("-inf")

    def allows_line(self) -> bool:
        """Return whether the caller may write the log line now. Return True at most once in LOG_INTERVAL_SECONDS."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_logged < LOG_INTERVAL_SECONDS:
                return False
            self._last_logged = now
            return True


class DataFileFailures:
    """Logs failures of the data file, such as a full disk. This class is thread-safe."""

    def __init__(self) -> None:
        self._limit = LogLimit()

    def unavailable(self, cause: BaseException) -> UnavailableError:
        """Report a failed operation. Return the error for the caller of the operation."""
        self.report("the data file cannot be used", cause)
        error = UnavailableError()
        # `is_reported` looks at the cause of the error. Set the cause here, because another thread can get the error
        # before this thread raises the error.
        error.__cause__ = cause
        return error

    def report(self, what: str, cause: BaseException) -> None:
        """Log what failed and why, unless another failure was logged less than a minute ago."""
        if self._limit.allows_line():
            logger.error("%s: %s", what, cause)


def is_reported(error: BaseException | None) -> bool:
    """Return whether `error` comes from `DataFileFailures.unavailable`."""
    return isinstance(error, UnavailableError) and error.__cause__ is not None
