"""Log failures of the data file and of the media folder: at most one line per minute for each of the two.

Other modules use `LogLimit` for their own log lines.
"""

from __future__ import annotations

import logging
import threading
import time

from convoke.domain.errors import UnavailableError

logger = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 60.0


class LogLimit:
    """Limits how often a log line is written. This class is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_logged = float("-inf")

    def allows_line(self) -> bool:
        """Return whether the caller may write the log line now: at most once in LOG_INTERVAL_SECONDS."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_logged < LOG_INTERVAL_SECONDS:
                return False
            self._last_logged = now
            return True


class StorageFailures:
    """Logs failures of the data file or of the media folder, such as a full disk. This class is thread-safe."""

    def __init__(self, place: str = "data file") -> None:
        self._place = place
        self._limit = LogLimit()

    def unavailable(self, cause: BaseException) -> UnavailableError:
        """Report a failed operation. Return the error that the operation must raise."""
        self.report(f"the {self._place} cannot be used", cause)
        error = UnavailableError()
        # Set the cause here. `raise ... from` would set the cause too late: a thread that waits for the same commit can
        # get and log the error before this thread raises the error. The log reads the cause (`is_reported`).
        error.__cause__ = cause
        return error

    def report(self, what: str, cause: BaseException) -> None:
        """Log what failed and why, but only if no failure was logged in the last minute."""
        if self._limit.allows_line():
            logger.error("%s: %s", what, cause)


def is_reported(error: BaseException | None) -> bool:
    """Return whether `error` is an UnavailableError with a cause, as `StorageFailures.unavailable` returns it."""
    return isinstance(error, UnavailableError) and error.__cause__ is not None
