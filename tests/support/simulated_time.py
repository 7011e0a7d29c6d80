"""Simulate time for threads, so that no test sleeps.

When all threads wait, the clock moves to the time at which the next thread must continue.
"""

from __future__ import annotations

import heapq
from itertools import count
from threading import Event, Lock


class SimulatedTime:
    """A simulated clock, in seconds, for a fixed number of threads.

    Each thread must call `leave` at its end.
    """

    def __init__(self, threads: int) -> None:
        self.now = 0.0
        self._running = threads
        self._waiting: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self._lock = Lock()

    def wait_until(self, moment: float) -> None:
        woken = Event()
        with self._lock:
            heapq.heappush(self._waiting, (moment, next(self._numbers), woken))
            self._stop_running()
        woken.wait()

    def leave(self) -> None:
        with self._lock:
            self._stop_running()

    def _stop_running(self) -> None:
        self._running -= 1
        if not self._running and self._waiting:
            self.now, _, woken = heapq.heappop(self._waiting)
            self._running = 1
            woken.set()


class SimulatedCore:
    """A simulated processor core. Only one thread at a time can use the core, as in a Python process."""

    def __init__(self, time: SimulatedTime) -> None:
        self._time = time
        self._free_at = 0.0
        self._lock = Lock()

    def occupy(self, seconds: float) -> float:
        """Reserve the core for `seconds`, from the time when the core is free. Return the end of the reservation.

        The method does not wait. The caller passes the returned time to `SimulatedTime.wait_until`.
        """
        with self._lock:
            self._free_at = max(self._free_at, self._time.now) + seconds
            return self._free_at
