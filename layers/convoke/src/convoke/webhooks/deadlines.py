"""End the HTTP calls whose deadline has passed. One thread watches all calls of a client."""

from __future__ import annotations

import threading
import time
from typing import Generic, Protocol, TypeVar


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
            self._calls.add(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
            elif call.deadline < self._wakes_at:
                self._changed.notify()

    def remove(self, call: AnyCall) -> None:
        # Do not wake the thread. Otherwise the thread would wake up after each call, and would only wait again.
        with self._changed:
            self._calls.discard(call)

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
                # If a `shut_down` raises an error, this thread ends. The next call must then start a new thread.
                self._thread = None

    def _end_late_calls(self) -> None:
        late = [call for call in self._calls if call.deadline <= time.monotonic()]
        self._calls.difference_update(late)
        for call in late:
            call.shut_down()
