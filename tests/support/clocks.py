"""The two clocks of a process, for tests of frozen and stepped clocks."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.freshness import ClockReading


@dataclass
class Clocks:
    """A wall clock and a monotonic clock, in seconds. A test moves each clock by itself."""

    wall: float = 1_800_000_000.0
    monotonic: float = 1_000.0

    def read(self) -> ClockReading:
        return ClockReading(self.wall, self.monotonic)

    def run(self, seconds: float) -> None:
        """Move both clocks."""
        self.wall += seconds
        self.monotonic += seconds

    def freeze(self, seconds: float) -> None:
        """Move the wall clock only, like Lambda, which freezes an environment between two invocations."""
        self.wall += seconds

    def step_back(self, seconds: float) -> None:
        """Set the wall clock back."""
        self.wall -= seconds
