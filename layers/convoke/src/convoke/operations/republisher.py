"""Publish events that are in the ledger but did not reach the event bus.

See docs/decisions/0076-unreadable-changes.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from convoke.domain.events import Event, EventFilters, UnpublishedChange
from convoke.domain.pages import PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import EventBus
from convoke.storage.event_attempts import EventAttemptRepository
from convoke.storage.events import EventRepository

PAGE_SIZE = 50


@lean_dataclass
class Republisher:
    changes: EventRepository
    attempts: EventAttemptRepository
    bus: EventBus

    def republish_change(self, unpublished: UnpublishedChange) -> int:
        """Publish the events of a change, and return the number of published events.

        If the change does not exist, nothing is published. Raises UnreadableChangeError if the stored change cannot be
        read.
        """
        change = self.changes.fetch(unpublished.account_sid, unpublished.change_sid)
        events = change.events if change else ()
        if events:
            self.bus.publish(events)
        return len(events)

    def republish_period(self, account_sid: str, filters: EventFilters) -> int:
        """Publish the events that `filters` selects, except events with a recorded attempt.

        Returns the number of published events. An event without attempts may have been published before, for example if
        no webhook receives the event. A second publication is safe, because consumers tolerate duplicates.
        """
        published = 0
        for events in self._pages(account_sid, filters):
            unattempted = [event for event in events if not self.attempts.list(event, PageRequest(1)).resources]
            self.bus.publish(unattempted)
            published += len(unattempted)
        return published

    def _pages(self, account_sid: str, filters: EventFilters) -> Iterator[list[Event]]:
        page = self.changes.list(account_sid, filters, PageRequest(PAGE_SIZE))
        yield page.resources
        while page.has_next:
            page = self.changes.list(account_sid, filters, PageRequest(PAGE_SIZE, page.behind))
            yield page.resources
