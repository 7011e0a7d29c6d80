"""Run background work: `PeriodicThread` repeats a function, and `StepScheduler` runs steps on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from convoke.embedded.pauses import growing_pause
from convoke.embedded.steps import Steps
from convoke.embedded.suspension import RUN_AGAIN_PAUSE_SECONDS, RunAgainError

logger = logging.getLogger(__name__)

DEBOUNCE_SECONDS, MAX_DEBOUNCE_SECONDS = 0.003, 0.015
"""The pause between a call of `wake` and the start of the steps. Requests run during this pause.

Each further call of `wake` restarts the pause, but the steps start at most `MAX_DEBOUNCE_SECONDS` after the first call.
"""

SLICE_SECONDS = 0.004
"""A slice is one call of `Steps.run`. After this time, a slice starts no further step.

A step that is already running always completes.
"""

ITERATIONS_BETWEEN_SLICES = 2
"""If steps still wait after a slice, the next slice starts after this number of iterations of the event loop.

In the first iteration, the event loop reads a request that arrived during the slice. In the second iteration, the
gateway computes the response.
"""

FAILURE_RETRY_SECONDS = 1.0
"""The length of the first pause after a slice or a unit of work (embedded/unit.py) fails.

Further failures in a row make the pause longer.
"""


class PeriodicThread:
    """A thread that calls `work` every `interval` seconds, and earlier if `wake` is called.

    The pauses grow while `work` fails.
    """

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
        """End the thread. Wait until a running call of `work` returns."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        failures, pause = 0, self._interval
        while not self._stopping:
            self._woken.wait(pause)
            self._woken.clear()
            if self._stopping:
                return
            try:
                self._work()
            except Exception:
                failures += 1
                pause = growing_pause(self._interval, failures)
                logger.exception("a loop failed; it continues in %s s", pause)
            else:
                failures, pause = 0, self._interval


class StepScheduler:
    """Runs steps in slices on an event loop, so that requests and steps share the thread fairly.

    After a slice, the running requests get as much time as the slice took. Then the next slice may start, even if
    requests are still running.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, steps: Steps) -> None:
        self._loop = loop
        self._steps = steps
        self._timer: asyncio.Handle | None = None
        self._latest = 0.0
        self._is_running = False
        self._stopping = False
        self._requests = 0
        self._slice_seconds = self._slice_ended = 0.0
        self._failures = 0
        """How many failures of slices or units of work occurred in a row."""

    def wake(self) -> None:
        """Start a slice soon. Call this method on the event loop's thread, whenever there is new work for steps."""
        if self._is_running:
            return
        now = self._loop.time()
        if self._timer is None:
            self._latest = now + MAX_DEBOUNCE_SECONDS
        elif now >= self._latest:
            return
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + DEBOUNCE_SECONDS, self._latest), self._run)

    def request_arrived(self) -> None:
        self._requests += 1

    def request_answered(self) -> None:
        self._requests -= 1

    def pause(self) -> None:
        """Delay the next slice, because a unit of work was dropped.

        A call of `wake` may end the pause early.
        """
        if self._timer:
            self._timer.cancel()
        if not self._stopping:
            self._is_running = False
            self._latest = self._loop.time() + self._pause_after_failure()
            self._timer = self._loop.call_at(self._latest, self._run)

    def stop(self) -> None:
        """Start no more slices."""
        self._stopping = True
        if self._timer:
            self._timer.cancel()
        self._is_running = True

    def _run(self) -> None:
        self._timer, self._is_running = None, False
        begun = time.monotonic()
        if self._requests and begun - self._slice_ended < self._slice_seconds:
            # Since the last slice, requests have run for less time than the slice took. Let the requests run first.
            self._again(0)
            return
        try:
            self._steps.run(until=begun + SLICE_SECONDS)
        except RunAgainError:
            self._again(RUN_AGAIN_PAUSE_SECONDS)
        except Exception:
            logger.exception("steps failed; the sweeper will try again")
            self._again(self._pause_after_failure())
        else:
            self._steps.table.after_commit(self._succeeded)
            if self._steps.are_waiting and self._timer is None:
                self._again(0)
        self._slice_ended = time.monotonic()
        self._slice_seconds = self._slice_ended - begun

    def _pause_after_failure(self) -> float:
        self._failures += 1
        return growing_pause(FAILURE_RETRY_SECONDS, self._failures)

    def _succeeded(self) -> None:
        self._failures = 0

    def _again(self, seconds: float) -> None:
        self._is_running = True
        if self._timer:
            # A commit during the slice called `wake`, and `wake` set the timer.
            self._timer.cancel()
        if seconds:
            self._timer = self._loop.call_later(seconds, self._run)
        else:
            self._after_iterations(ITERATIONS_BETWEEN_SLICES)

    def _after_iterations(self, count: int) -> None:
        """Start a slice after `count` further iterations of the event loop."""
        self._timer = (
            self._loop.call_soon(self._after_iterations, count - 1) if count else self._loop.call_soon(self._run)
        )
