"""Puts recorded events on the bus (promise 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.events import Change
from convoke.operations.ports import EventBus


@dataclass(frozen=True, slots=True)
class EventPublisher:
    bus: EventBus

    def publish(self, changes: Sequence[Change]) -> None:
        """Publish the events of `changes`; said again, the same events come again with the same ids."""
        if events := [event for change in changes for event in change.events]:
            self.bus.publish(events)
