"""Pauses between attempts grow while work fails (domain/pauses.py).

Background loops of the embedded engine pause at most a minute (embedded/pauses.py).
"""

from __future__ import annotations

from datetime import timedelta

from convoke.domain.pauses import doubled_pause
from convoke.embedded.pauses import MAX_PAUSE_SECONDS, growing_pause


def test_pauses_of_background_loops_grow_to_a_minute() -> None:
    pauses = [growing_pause(1.0, failures) for failures in range(1, 1000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS


def test_pause_doubles_up_to_the_longest_and_never_overflows() -> None:
    second = timedelta(seconds=1)
    pauses = [doubled_pause(second, doublings, timedelta(days=1)) for doublings in range(4)]
    assert pauses == [second, 2 * second, 4 * second, 8 * second]
    assert doubled_pause(second, 10_000, timedelta(minutes=1)) == timedelta(minutes=1)
