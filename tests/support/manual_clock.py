"""Provide a clock that moves only if a test moves it or Convoke calls `sleep`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from convoke.domain import instants


class ManualClock:
    """A clock for an instance. A test passes the methods `now` and `sleep` to the instance.

    After each `sleep`, the clock calls `on_sleep`.
    """

    def __init__(self) -> None:
        self.present = instants.now()
        self.pauses: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.present

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.move(timedelta(seconds=seconds))
        self.on_sleep()

    def move(self, by: timedelta) -> None:
        self.present += by
