"""Check the freshness of a cache entry or a kept connection. A fresh entry is young enough to be used.

A freshness check needs two clocks, because each clock alone could make an old entry look fresh. The monotonic clock
stops while Lambda freezes the environment. The wall clock can be set back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class ClockReading(NamedTuple):
    """One reading of the wall clock and of the monotonic clock, in seconds."""

    wall: float
    monotonic: float

    def is_fresh(self, now: ClockReading, lifetime: float) -> bool:
        """Return whether fewer than `lifetime` seconds have passed between this reading and `now`, on both clocks.

        Returns False if the wall clock was set back to a time before this reading.
        """
        return 0 <= now.wall - self.wall < lifetime and now.monotonic - self.monotonic < lifetime


ReadClocks = Callable[[], ClockReading]


def read_clocks() -> ClockReading:
    return ClockReading(time.time(), time.monotonic())
