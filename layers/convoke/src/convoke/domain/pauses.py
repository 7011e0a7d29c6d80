"""Exponential backoff: a pause that doubles after each failure, up to a maximum."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

Pause = TypeVar("Pause", float, timedelta)

MAX_DOUBLINGS = 16
"""The maximum number of times that a pause is doubled. Without this maximum, the result could overflow."""

MAX_OWN_FAILURES = 8
"""After this number of failures of Convoke itself, Convoke gives up a queue message about a delivery or a copy.

On AWS, a crash of the whole invocation does not count here. SQS counts the crashes: it moves a queue message to the
dead-letter queue after `maxReceiveCount` receives.
"""

FIRST_OWN_FAILURE_PAUSE_SECONDS = 5.0


def doubled_pause(first: Pause, doublings: int, longest: Pause) -> Pause:
    """Return the pause `first`, doubled `doublings` times, but at most `longest`."""
    return min(first * (1 << min(doublings, MAX_DOUBLINGS)), longest)


def own_failure_pause_seconds(failures: int) -> float | None:
    """Return the pause in seconds after `failures` failures of Convoke itself.

    Each pause is twice as long as the previous pause. Return None if Convoke must give up the queue message.
    """
    if failures >= MAX_OWN_FAILURES:
        return None
    return FIRST_OWN_FAILURE_PAUSE_SECONDS * (1 << (failures - 1))
