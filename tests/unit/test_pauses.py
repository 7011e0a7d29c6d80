"""Pauses of background work grow while the work fails (embedded/pauses.py)."""

from __future__ import annotations

from convoke.embedded.pauses import MAX_PAUSE_SECONDS, growing_pause


def test_pauses_of_background_loops_grow_to_a_minute() -> None:
    pauses = [growing_pause(1.0, failures) for failures in range(1, 1000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS
