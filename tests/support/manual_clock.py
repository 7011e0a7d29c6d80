"""A clock that stands still until a test moves the clock or the product calls `sleep`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from convoke.domain import instants


class ManualClock:
    """A clock for an instance. The test passes the methods `now` and `sleep` to the instance.

    The clock calls `on_sleep` after each `sleep`.
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
