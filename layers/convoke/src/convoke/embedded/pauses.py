"""Compute the pauses after failures of background work."""

from __future__ import annotations

from convoke.domain.pauses import doubled_pause

MAX_PAUSE_SECONDS = 60.0


def growing_pause(first_seconds: float, failures: int) -> float:
    """Return the pause after `failures` failures in a row, in seconds.

    The first pause is `first_seconds`. Each further pause is twice as long as the previous pause. The maximum is
    MAX_PAUSE_SECONDS or `first_seconds`, whichever is greater. The number of failures has no limit, because background
    work such as reading a queue must continue.
    """
    return doubled_pause(first_seconds, failures - 1, max(first_seconds, MAX_PAUSE_SECONDS))
