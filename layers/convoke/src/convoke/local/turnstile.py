"""Turns: one thread computes at a time, requests and the steps behind them alternately.

Python computes on one thread at a time in any case. Left to its scheduler, threads that compete take the interpreter
from each other in the midst of a transaction, each time for a switch interval, while the others wait for the
transaction; and what follows a request starves behind new requests. The turnstile only orders who computes: whoever
takes too long over a turn, because it waits for something outside, goes on, but the turn passes to the next.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_TURN = 0.05
"""Seconds. Most turns take two milliseconds, the slowest wait for the disk."""


class _Turn:
    def __init__(self) -> None:
        self.number = 0
        self.begun = threading.Semaphore(0)


class Turnstile:
    """Hands the turn on in the order of arrival; of requests and steps, to the kind that did not have the last one."""

    def __init__(self, longest_turn: float = LONGEST_TURN) -> None:
        self._longest_turn = longest_turn
        self._guard = threading.Lock()
        self._requests: deque[_Turn] = deque()
        self._steps: deque[_Turn] = deque()
        self._last_was_step = False
        self._taken = False
        self._number = 0
        self._since = 0.0
        self._mine = threading.local()
        self._woken = threading.Event()

    @contextmanager
    def request(self) -> Iterator[None]:
        self._mine.turn = self._enter(self._requests)
        try:
            yield
        finally:
            self._leave(self._mine.turn)
            del self._mine.turn

    @contextmanager
    def step(self) -> Iterator[None]:
        turn = self._enter(self._steps)
        try:
            yield
        finally:
            self._leave(turn)

    def sleep(self, seconds: float) -> None:
        with self.outside():
            self._woken.wait(seconds)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Outside of the turn of this thread's request, if it answers one; it lines up again for the rest of it.

        Left inside its turn, each request that waits would take the longest turn from the others.
        """
        turn: _Turn | None = getattr(self._mine, "turn", None)
        if turn:
            self._leave(turn)
        try:
            yield
        finally:
            if turn:
                self._mine.turn = self._enter(self._requests)

    def wake(self) -> None:
        """End all sleep, present and future."""
        self._woken.set()

    def _enter(self, line: deque[_Turn]) -> _Turn:
        turn = _Turn()
        with self._guard:
            line.append(turn)
            if not self._taken:
                self._hand_on()
        while not turn.begun.acquire(timeout=self._longest_turn):
            with self._guard:
                if time.monotonic() - self._since >= self._longest_turn:
                    self._hand_on()
        return turn

    def _leave(self, turn: _Turn) -> None:
        with self._guard:
            if turn.number == self._number:
                self._hand_on()

    def _hand_on(self) -> None:
        """Give the turn to whoever is next; it is free where nobody is."""
        first, second = (self._requests, self._steps) if self._last_was_step else (self._steps, self._requests)
        line = first or second
        self._taken = bool(line)
        if line:
            self._last_was_step = line is self._steps
            self._number += 1
            self._since = time.monotonic()
            turn = line.popleft()
            turn.number = self._number
            turn.begun.release()
