"""The pauses after failures of background work that must continue."""

from __future__ import annotations

MAX_PAUSE_SECONDS = 60.0

MAX_DOUBLINGS = 16
"""The maximum number of times that the first pause is doubled. Without this maximum, the result could overflow."""


def growing_pause(first_seconds: float, failures: int) -> float:
    """Return the pause in seconds after the last of `failures` failures in a row. Each pause is twice the previous one.

    Background work such as reading a queue cannot be given up, so its pauses grow to a minute and stay there.
    """
    return min(first_seconds * (1 << min(failures - 1, MAX_DOUBLINGS)), max(first_seconds, MAX_PAUSE_SECONDS))
