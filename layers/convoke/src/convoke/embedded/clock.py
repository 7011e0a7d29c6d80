"""A clock that can be moved, so that nobody has to wait for a timer: `convoke up --test-clock`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from convoke.domain import instants


class MovableClock:
    """A Clock: goes on with real time from where it was set, or stands there until it is told to go on."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._standing: datetime | None = None

    def __call__(self) -> datetime:
        return self._standing or instants.now() + self._ahead

    def stand_at(self, moment: datetime) -> None:
        self._standing = moment

    def go_on(self) -> None:
        self._ahead = self() - instants.now()
        self._standing = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """What was done while time was made to pass."""

    now: datetime
    sweeps: int
    conversations: int
    """That were attended to; one that was twice counts twice."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Lets time pass, from one moment at which something is due to the next, so that each is done at its own."""

    clock: MovableClock
    next_due: Callable[[datetime], datetime | None]
    """When something is due first, after a moment."""
    sweep: Callable[[], int]
    finish: Callable[[], None]
    """Does what follows from a sweep, or is waiting anyway."""
    go_on: Callable[[], bool]

    def __call__(self, by: timedelta) -> Advanced:
        """Raises OverflowError past the year 9999."""
        moment: datetime | None = self.clock()
        until, sweeps, attended = instants.truncate_to_milliseconds(self.clock() + by), 0, 0
        try:
            while moment and moment <= until and self.go_on():
                self.clock.stand_at(moment)
                self.finish()
                attended += self.sweep()
                self.finish()
                sweeps += 1
                moment = self.next_due(moment)
            self.clock.stand_at(until)
        finally:
            self.clock.go_on()
        return Advanced(until, sweeps, attended)
