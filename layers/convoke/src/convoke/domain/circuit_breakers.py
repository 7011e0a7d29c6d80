"""A circuit breaker for one receiver: after several failures in a row, deliveries to it pause for a growing time.

See docs/behaviour/webhook-delivery.md#circuit-breaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FAILURES_TO_OPEN = 5
"""Failures in a row that open the breaker."""

FIRST_PAUSE = timedelta(seconds=1)
MAX_PAUSE = timedelta(minutes=1)

MAX_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Closed: deliveries go out. Open: they wait until `open_until`; then one of them is tried."""

    failures: int = 0
    """In a row."""
    open_until: datetime | None = None

    def failed(self, at: datetime) -> CircuitBreaker:
        if self._is_paused(at):
            # This delivery was under way when the breaker opened: it failed for the same reason.
            return self
        failures = self.failures + 1
        if failures < FAILURES_TO_OPEN:
            return CircuitBreaker(failures)
        pause = min(FIRST_PAUSE * (1 << min(failures - FAILURES_TO_OPEN, MAX_DOUBLINGS)), MAX_PAUSE)
        return CircuitBreaker(failures, at + pause)

    def allows(self, at: datetime, *, under_way: int) -> bool:
        """Whether another delivery may start. After the pause only one may be under way until it has succeeded."""
        return self.open_until is None or (not self._is_paused(at) and not under_way)

    def _is_paused(self, at: datetime) -> bool:
        # A clock that was set back must not keep the breaker open for longer than its longest pause.
        return self.open_until is not None and at < self.open_until <= at + MAX_PAUSE


CLOSED = CircuitBreaker()
