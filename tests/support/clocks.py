"""Simulate the wall clock and the monotonic clock of a process.

The two clocks can disagree after a freeze of the process, or after somebody sets the wall clock back.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.freshness import ClockReading


@dataclass
class Clocks:
    """A wall clock and a monotonic clock, in seconds. A test can move each clock separately."""

    wall: float = 1_800_000_000.0
    monotonic: float = 1_000.0

    def read(self) -> ClockReading:
        return ClockReading(self.wall, self.monotonic)

    def run(self, seconds: float) -> None:
        """Move both clocks."""
        self.wall += seconds
        self.monotonic += seconds

    def freeze(self, seconds: float) -> None:
        """Move only the wall clock, as when Lambda freezes an environment between two invocations."""
        self.wall += seconds

    def step_back(self, seconds: float) -> None:
        """Set the wall clock back."""
        self.wall -= seconds
