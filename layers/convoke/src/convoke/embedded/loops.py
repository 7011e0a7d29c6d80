"""Ways to run work repeatedly: a thread with an interval, and a debounced callback on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger(__name__)

DEBOUNCE_SECONDS, MAX_DEBOUNCE_SECONDS = 0.003, 0.02
"""How long steps wait after the last wake-up, and at most after the first. Requests run meanwhile.

See docs/decisions/0010-requests-share-the-event-loop.md.
"""


class PeriodicThread:
    """A thread that runs its work when `wake` is called, and at least every `interval` seconds."""

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
        """Wait for the work in progress and end the thread."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait(self._interval)
            # Clear before the work: a `wake` during the work must cause another run.
            self._woken.clear()
            try:
                self._work()
            except Exception:
                logger.exception("The work of a thread failed. It runs again within %s s.", self._interval)


class Debouncer:
    """Runs batches of work on an event loop, 3 ms after the last `wake` and at most 20 ms after the first.

    A client that sends many requests in a row gets its answers first. The work that follows from them is done together,
    in fewer transactions.
    """

    def __init__(self, event_loop: asyncio.AbstractEventLoop, run_batch: Callable[[], bool]) -> None:
        """`run_batch` returns whether it found work, so that it is called again until nothing is left."""
        self._event_loop = event_loop
        self._run_batch = run_batch
        self._timer: asyncio.Handle | None = None
        self._deadline = 0.0

    def wake(self) -> None:
        """Schedule the work. Any thread may call this method."""
        # A closed event loop raises RuntimeError. The next process finds the work in the table.
        with suppress(RuntimeError):
            self._event_loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        now = self._event_loop.time()
        if self._timer is None:
            self._deadline = now + MAX_DEBOUNCE_SECONDS
        elif now < self._deadline:
            self._timer.cancel()
        else:
            # The timer is due, and moving it again could delay the work without end.
            return
        self._timer = self._event_loop.call_at(min(now + DEBOUNCE_SECONDS, self._deadline), self._run)

    def _run(self) -> None:
        self._timer = None
        try:
            if self._run_batch():
                # `call_soon` appends to the loop's queue, so requests that are already there run before the next batch.
                self._timer = self._event_loop.call_soon(self._run)
        except Exception:
            logger.exception("A batch of steps failed. The sweeper will find the rest of its work.")
