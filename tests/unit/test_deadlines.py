"""`webhooks/deadlines.py` ends each call at its deadline, with one thread for all calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from convoke.webhooks.deadlines import Deadlines

SOON = 0.05
"""The time in seconds from now to a deadline. This time is short, because the tests wait until the deadline."""

TIMEOUT_SECONDS = 10.0


class FakeCall:
    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.ended_at = 0.0
        self._ended = threading.Event()

    def shut_down(self) -> None:
        self.ended_at = time.monotonic()
        self._ended.set()

    def wait(self) -> None:
        assert self._ended.wait(TIMEOUT_SECONDS)


@pytest.fixture
def deadlines() -> Iterator[Deadlines[FakeCall]]:
    """Yield the object under test. After the test, check that its thread has not failed."""
    deadlines: Deadlines[FakeCall] = Deadlines()
    yield deadlines
    last = FakeCall(0)
    deadlines.add(last)
    last.wait()


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "deadlines"]


def test_call_ends_at_its_deadline_and_not_before(deadlines: Deadlines[FakeCall]) -> None:
    call = FakeCall(SOON)
    deadlines.add(call)
    call.wait()
    assert call.ended_at >= call.deadline
    assert deadlines.calls == []


def test_later_call_with_an_earlier_deadline_does_not_wait_for_the_first_call(deadlines: Deadlines[FakeCall]) -> None:
    first, second = FakeCall(TIMEOUT_SECONDS), FakeCall(SOON)
    deadlines.add(first)
    deadlines.add(second)
    second.wait()
    assert second.ended_at < first.deadline
    assert deadlines.calls == [first]
    deadlines.remove(first)


def test_call_that_was_removed_is_not_ended(deadlines: Deadlines[FakeCall]) -> None:
    removed, last = FakeCall(SOON), FakeCall(2 * SOON)
    deadlines.add(removed)
    deadlines.add(last)
    deadlines.remove(removed)
    last.wait()
    assert removed.ended_at == 0


def test_one_thread_watches_all_calls_and_ends_after_them(deadlines: Deadlines[FakeCall]) -> None:
    others = watchers()
    calls = [FakeCall(SOON) for _ in range(50)]
    for call in calls:
        deadlines.add(call)
    (watcher,) = [thread for thread in watchers() if thread not in others]
    for call in calls[1:]:
        deadlines.remove(call)
    calls[0].wait()
    watcher.join(TIMEOUT_SECONDS)
    assert not watcher.is_alive()


def test_error_of_one_call_does_not_prevent_the_end_of_other_calls(deadlines: Deadlines[FakeCall]) -> None:
    class BrokenCall(FakeCall):
        def shut_down(self) -> None:
            super().shut_down()
            raise RuntimeError

    calls = [BrokenCall(SOON), BrokenCall(SOON), FakeCall(2 * SOON)]
    for call in calls:
        deadlines.add(call)
    for call in calls:
        call.wait()


def test_call_whose_thread_cannot_start_prevents_no_later_call(
    deadlines: Deadlines[FakeCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            deadlines.add(FakeCall(SOON))
    assert deadlines.calls == []
    later = FakeCall(SOON)
    deadlines.add(later)
    later.wait()


def test_wake_ends_the_thread_if_no_call_is_in_progress(deadlines: Deadlines[FakeCall]) -> None:
    others, call = watchers(), FakeCall(TIMEOUT_SECONDS)
    deadlines.add(call)
    (watcher,) = [thread for thread in watchers() if thread not in others]
    deadlines.remove(call)
    deadlines.wake()
    watcher.join(TIMEOUT_SECONDS / 2)
    assert not watcher.is_alive()


def test_call_after_the_end_of_the_thread_starts_a_new_thread(deadlines: Deadlines[FakeCall]) -> None:
    for _ in range(2):
        call = FakeCall(SOON)
        deadlines.add(call)
        call.wait()
        for watcher in watchers():
            watcher.join(SOON)
