"""The pauses after failures of background work that must continue."""

from __future__ import annotations

from convoke.domain.pauses import doubled_pause

MAX_PAUSE_SECONDS = 60.0


def growing_pause(first_seconds: float, failures: int) -> float:
    """Return the pause in seconds after the last of `failures` failures in a row.

    Each pause is twice as long as the previous pause.
    Background work such as reading a queue cannot be given up, so its pauses grow to a minute and stay there.
    """
    return doubled_pause(first_seconds, failures - 1, max(first_seconds, MAX_PAUSE_SECONDS))
