"""Exponential backoff: a pause that doubles after each failure, up to a maximum."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

Pause = TypeVar("Pause", float, timedelta)

MAX_DOUBLINGS = 16
"""The maximum number of times that a pause is doubled. Without this maximum, the result could overflow."""


def doubled_pause(first: Pause, doublings: int, longest: Pause) -> Pause:
    """Return the pause `first`, doubled `doublings` times, but at most `longest`."""
    return min(first * (1 << min(doublings, MAX_DOUBLINGS)), longest)
