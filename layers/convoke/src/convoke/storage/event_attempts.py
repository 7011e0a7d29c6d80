"""Store the attempts to deliver an event to a target. See docs/behaviour/events.md#attempts."""

from __future__ import annotations

from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import Event
from convoke.domain.pages import Page, PageRequest
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys, paging
from convoke.storage.table import Set, Table, Update


@lean_dataclass
class EventAttemptRepository:
    table: Table

    def put(self, delivery: Delivery, attempt: EventAttempt) -> None:
        """Store an attempt.

        Each attempt is stored before the webhook call. After the call, the stored attempt is replaced.
        """
        key = keys.event_attempt(delivery.event.account_sid, attempt.event_id, attempt.position)
        attributes = items.with_expiry(attempt.model_dump(mode="json", exclude_none=True), attempt.date_expires)
        # The Table port writes an item with an update or with a transaction. An update costs half the write units. The
        # update need not remove attributes, because the attempt after the call has all attributes of the attempt before
        # the call.
        self.table.update(Update(key, tuple(Set(name, value) for name, value in attributes.items())))

    def fetch(self, event: Event, position: str) -> EventAttempt | None:
        stored = self.table.get(keys.event_attempt(event.account_sid, event.id, position))
        return items.to_resource(EventAttempt, stored) if stored else None

    def fetch_last(self, delivery: Delivery) -> EventAttempt | None:
        """Return the last attempt of a delivery, or None if no attempt has begun."""
        event = delivery.event
        partition, between = keys.event_attempts_of_target(
            event.account_sid, event.id, delivery.replay_sid, delivery.target
        )
        found = self.table.query(partition, between=between, limit=1, forward=False, consistent=True)
        return items.to_resource(EventAttempt, found[0]) if found else None

    def list(self, event: Event, page: PageRequest) -> Page[EventAttempt]:
        position = keys.event_attempt(event.account_sid, event.id, page.position) if page.position else None
        partition, between = keys.event_attempts(event.account_sid, event.id)
        return paging.query_page(EventAttempt, self.table, partition, between, page, position)
