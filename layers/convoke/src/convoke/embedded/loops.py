"""What runs repeatedly: a thread with an interval, and a debounced callback on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger(__name__)

DEBOUNCE_SECONDS, MAX_DEBOUNCE_SECONDS = 0.003, 0.02
"""Seconds that steps wait for more of them, and in all: meanwhile requests go first."""


class Loop:
    """A thread that does its work when it is woken, and every `interval` seconds in any case."""

    def __init__(self, name: str, work: Callable[[], object], interval: float) -> None:
        self._work = work
        self._interval = interval
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def wake(self) -> None:
        self._woken.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the work under way come to its end."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait(self._interval)
            self._woken.clear()
            try:
                self._work()
            except Exception:
                logger.exception("a loop failed; it goes on in %s s", self._interval)


class Debounced:
    """Does its work on an event loop, a turn at a time, when it is woken and nobody wakes it again for a moment.

    So who asks for many things in a row is answered first, and what follows from them is done together.
    """

    def __init__(self, event_loop: asyncio.AbstractEventLoop, turn: Callable[[], bool]) -> None:
        self._event_loop = event_loop
        self._turn = turn
        self._timer: asyncio.Handle | None = None
        self._latest = 0.0

    def wake(self) -> None:
        # A closed one is not told: what is left is found in the table.
        with suppress(RuntimeError):
            self._event_loop.call_soon_threadsafe(self._put_off)

    def _put_off(self) -> None:
        now = self._event_loop.time()
        if self._timer is None:
            self._latest = now + MAX_DEBOUNCE_SECONDS
        elif now < self._latest:
            self._timer.cancel()
        else:
            return
        self._timer = self._event_loop.call_at(min(now + DEBOUNCE_SECONDS, self._latest), self._work)

    def _work(self) -> None:
        self._timer = None
        try:
            if self._turn():
                # More may have come, but requests that came meanwhile are before it.
                self._timer = self._event_loop.call_soon(self._work)
        except Exception:
            logger.exception("a turn failed; the sweeper will find what is left")
