"""List, fetch and replay the events of the ledger, and list their delivery attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from convoke.domain.errors import NotFoundError
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.event_replays import NewEventReplay
from convoke.domain.events import Event, EventFilters, change_sid_of_event
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import NewSid, Prefix
from convoke.operations.webhook_delivery import WebhookDelivery
from convoke.storage.event_attempts import EventAttemptRepository
from convoke.storage.events import EventRepository


class EventReplay(NamedTuple):
    sid: str
    event: Event
    targets: list[str]
    """The webhooks to which the event is sent again."""


@dataclass(frozen=True, slots=True)
class EventOperations:
    changes: EventRepository
    attempts: EventAttemptRepository
    delivery: WebhookDelivery
    new_sid: NewSid

    def list(self, account_sid: str, filters: EventFilters, page: PageRequest) -> Page[Event]:
        return self.changes.list(account_sid, filters, page)

    def fetch(self, account_sid: str, event_id: str) -> Event:
        """Return an event. Raises NotFoundError if the event does not exist or belongs to another account."""
        change_sid = change_sid_of_event(event_id)
        change = self.changes.fetch(account_sid, change_sid) if change_sid else None
        # Convert the SID in the event ID to its canonical form, because a path may contain a SID in upper or lower
        # case.
        canonical_id = f"{change_sid}{event_id[len(change_sid or '') :]}"
        found = next((event for event in change.own_events if event.id == canonical_id), None) if change else None
        if found is None:
            raise NotFoundError
        return found

    def list_attempts(self, account_sid: str, event_id: str, page: PageRequest) -> Page[EventAttempt]:
        """Return a page of the attempts to deliver an event. Raises NotFoundError."""
        return self.attempts.list(self.fetch(account_sid, event_id), page)

    def replay(self, account_sid: str, event_id: str, replay: NewEventReplay) -> EventReplay:
        """Send an event again to the webhooks that are configured now. Raises NotFoundError."""
        event, sid = self.fetch(account_sid, event_id), self.new_sid(Prefix.REPLAY)
        return EventReplay(sid, event, self.delivery.replay(event, sid, replay.target))
