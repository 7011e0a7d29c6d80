"""Provide a clock that tests can move forward. See docs/decisions/0045-movable-clock-stops-at-each-due-time.md.

This clock is used by `convoke.testing`, and by `convoke up` with the option `--test-clock` or `--test-controls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from convoke.domain import instants
from convoke.lean_dataclass import lean_dataclass


class MovableClock:
    """A `Clock` that tests can move. The clock runs at the speed of real time, or stands still."""

    def __init__(self) -> None:
        self._offset = timedelta(0)
        self._frozen_at: datetime | None = None

    def __call__(self) -> datetime:
        return self._frozen_at or instants.now() + self._offset

    def freeze_at(self, moment: datetime) -> None:
        """Stop the clock at `moment` until `resume` is called."""
        self._frozen_at = moment

    def resume(self) -> None:
        """Let the clock run again at the speed of real time. The clock continues from the time that it shows."""
        self._offset = self() - instants.now()
        self._frozen_at = None


@dataclass(frozen=True, slots=True)
class AdvanceResult:
    now: datetime
    """The time after the move."""
    sweeps: int
    """How often the sweeper ran."""
    conversations: int
    """How many resources the sweeper processed: conversations, and also Users, services and media.

    The API names this field `conversations`. A resource that was processed twice counts twice.
    """


@lean_dataclass
class Advance:
    """Moves the clock from one due time to the next. Every timer and retry therefore runs at the correct time."""

    clock: MovableClock
    next_due: Callable[[datetime], datetime | None]
    """Returns the first due time after a given time. Returns None if nothing more becomes due."""
    sweep: Callable[[], int]
    """Processes all resources that are due. Returns how many resources were processed."""
    run_steps: Callable[[], None]
    """Runs all waiting asynchronous steps."""
    deliver: Callable[[], None]
    """Waits until each due delivery has been attempted."""
    should_continue: Callable[[], bool]
    """Returns False if the process must stop."""

    def __call__(self, by: timedelta) -> AdvanceResult:
        """Move the clock forward.

        Raise ValueError if `by` is negative. Raise OverflowError if the new time is after the year 9999.
        """
        if by < timedelta():
            raise ValueError("the clock can only be moved forward")
        moment: datetime | None = self.clock()
        end, sweeps, conversations = instants.truncate_to_milliseconds(self.clock() + by), 0, 0
        try:
            while moment and moment <= end and self.should_continue():
                self.clock.freeze_at(moment)
                # Run the waiting steps before the sweep. A step may start a timer, and the timer must start at this
                # moment.
                self.run_steps()
                conversations += self.sweep()
                self.run_steps()
                # Wait for the receivers' answers. If an attempt fails, `next_due` returns the time of the retry.
                self.deliver()
                sweeps += 1
                moment = self.next_due(moment)
            self.clock.freeze_at(end)
        finally:
            self.clock.resume()
        return AdvanceResult(end, sweeps, conversations)
