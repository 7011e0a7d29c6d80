"""Compute the pauses after failures of background work."""

from __future__ import annotations

from convoke.domain.pauses import doubled_pause

MAX_PAUSE_SECONDS = 60.0


def growing_pause(first_seconds: float, failures: int) -> float:
    """Return the pause in seconds after `failures` failures in a row.

    Each pause is twice as long as the previous pause, up to MAX_PAUSE_SECONDS. The number of retries has no limit,
    because background work such as reading a queue must continue.
    """
    return doubled_pause(first_seconds, failures - 1, max(first_seconds, MAX_PAUSE_SECONDS))
