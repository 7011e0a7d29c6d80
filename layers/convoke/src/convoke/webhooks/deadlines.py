"""End the HTTP calls whose deadline has passed. One thread watches all calls of a client."""

from __future__ import annotations

import logging
import threading
import time
from typing import Generic, Protocol, TypeVar

logger = logging.getLogger(__name__)


class Call(Protocol):
    @property
    def deadline(self) -> float:
        """The time on the monotonic clock at which the call must end."""

    def shut_down(self) -> None:
        """End the call immediately. Any thread may call this method, and this method must not block."""


AnyCall = TypeVar("AnyCall", bound=Call)


class Deadlines(Generic[AnyCall]):
    """The calls in progress. At the deadline of a call, a thread ends the call.

    One thread is enough for all calls. A `threading.Timer` for each call would take 40 % of the processor time of a
    call to a local receiver. The thread starts with the first call. If the thread wakes up and no call is in progress,
    the thread ends.
    """

    def __init__(self) -> None:
        self._calls: set[AnyCall] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def add(self, call: AnyCall) -> None:
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                # `start` can fail. Then only this call fails, and the next call tries again.
                thread.start()
                self._thread = thread
            elif call.deadline < self._wakes_at:
                self._changed.notify()
            self._calls.add(call)

    def remove(self, call: AnyCall) -> None:
        # Do not wake the thread. Otherwise the thread would wake up after each call, and would only wait again.
        with self._changed:
            self._calls.discard(call)

    def wake(self) -> None:
        """Let the thread check all calls now. If no call is in progress, the thread ends."""
        with self._changed:
            self._changed.notify()

    @property
    def calls(self) -> list[AnyCall]:
        """The calls in progress."""
        with self._changed:
            return [*self._calls]

    def _watch(self) -> None:
        with self._changed:
            try:
                while self._calls:
                    self._wakes_at = min(call.deadline for call in self._calls)
                    self._changed.wait(max(self._wakes_at - time.monotonic(), 0))
                    self._end_late_calls()
            finally:
                # If this thread fails, for example for lack of memory, the next call starts a new thread.
                self._thread = None

    def _end_late_calls(self) -> None:
        late = [call for call in self._calls if call.deadline <= time.monotonic()]
        self._calls.difference_update(late)
        for call in late:
            self._end(call)

    def _end(self, call: AnyCall) -> None:
        try:
            call.shut_down()
        except Exception:
            # The thread must go on, because it also watches the other calls.
            logger.exception("a call could not be ended at its deadline")
