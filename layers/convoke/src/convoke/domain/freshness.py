"""Freshness: whether a cache entry or a kept connection is young enough to be used.

A freshness check needs two clocks. The monotonic clock of a frozen Lambda environment stands still, so this clock alone
would keep an entry fresh for hours. The wall clock can be set back, so this clock alone would do the same.
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
        """Return whether both clocks say that fewer than `lifetime` seconds have passed since this reading.

        Returns False if the wall clock shows an earlier time than at this reading.
        """
        return 0 <= now.wall - self.wall < lifetime and now.monotonic - self.monotonic < lifetime


ReadClocks = Callable[[], ClockReading]


def read_clocks() -> ClockReading:
    return ClockReading(time.time(), time.monotonic())
