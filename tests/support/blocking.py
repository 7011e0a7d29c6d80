"""Detect code of Convoke that blocks the event loop's thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import FrameType

import pytest

from convoke.embedded import engine

_sleep, _wait = time.sleep, threading.Condition.wait


def product_blocks_event_loop() -> bool:
    """Return whether the current blocking call comes from code of Convoke on an event loop's thread.

    The call can be indirect. For example, Convoke calls `Future.result`, which waits for a condition.
    """
    if asyncio._get_running_loop() is None:
        return False
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code is threading.Thread.start.__code__:
            return False  # The wait for the start of a thread takes only microseconds. Therefore it is allowed.
        if package in ("convoke", "tests"):
            return package == "convoke"
        frame = frame.f_back
    return False


class BlockingGuard:
    """Raises AssertionError if Convoke sleeps or waits on the thread of an event loop.

    The guard notices all waits for a condition. The guard notices waits for a lock only if the module `engine` creates
    the lock.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        """The blocking calls that were found.

        A test must check this list at its end, because Convoke can catch the AssertionError of a blocking call.
        """

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def wait(condition: threading.Condition, timeout: float | None = None) -> bool:
            # `Event.wait`, `Queue.get` and `Future.result` also call this method.
            if timeout != 0 and product_blocks_event_loop():
                self.fail("waiting for a condition")
            return _wait(condition, timeout)

        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(threading.Condition, "wait", wait)
        monkeypatch.setattr(engine, "Lock", lambda: GuardedLock(self))

    def sleep(self, seconds: float) -> None:
        if product_blocks_event_loop():
            self.fail("time.sleep")
        _sleep(seconds)

    def fail(self, what: str) -> None:
        self.violations.append(what)
        raise AssertionError(f"{what} on the event loop's thread")


class GuardedLock:
    def __init__(self, guard: BlockingGuard) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self.release, self.locked = self._lock.release, self._lock.locked

    def acquire(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        if product_blocks_event_loop():
            self._guard.fail("waiting for a lock")
        self._lock.acquire()

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self._lock.release()
