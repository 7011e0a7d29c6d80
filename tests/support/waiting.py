"""Wait until another thread makes a condition true."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMEOUT_SECONDS = 5.0


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until the condition is true, for at most TIMEOUT_SECONDS. Return whether the condition is true."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return holds()
