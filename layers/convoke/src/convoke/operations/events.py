"""List, fetch and replay the events of the ledger, list their delivery attempts, and rebuild an attempt's request."""

from __future__ import annotations

from typing import NamedTuple

from convoke.domain.errors import NotFoundError
from convoke.domain.event_attempts import EventAttempt, position_of_attempt
from convoke.domain.event_replays import NewEventReplay
from convoke.domain.events import Event, EventFilters, change_sid_of_event
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.webhook_delivery import WebhookDelivery
from convoke.storage.auth_tokens import AuthTokens
from convoke.storage.event_attempts import EventAttemptRepository
from convoke.storage.events import EventRepository
from convoke.webhooks.signed_requests import SignedRequest, signed_request


class EventReplay(NamedTuple):
    sid: str
    event: Event
    targets: list[str]
    """The targets to which Convoke sends the event again: webhooks, or the error-log URL."""


@lean_dataclass
class EventOperations:
    changes: EventRepository
    attempts: EventAttemptRepository
    delivery: WebhookDelivery
    new_sid: NewSid
    auth_tokens: AuthTokens

    def list(self, account_sid: str, filters: EventFilters, page: PageRequest) -> Page[Event]:
        return self.changes.list(account_sid, filters, page)

    def fetch(self, account_sid: str, event_id: str) -> Event:
        """Return an event. Raises NotFoundError if the event does not exist or belongs to another account."""
        change_sid = change_sid_of_event(event_id)
        change = self.changes.fetch(account_sid, change_sid) if change_sid else None
        # Convert the SID in the event ID to the canonical form, because a path may contain upper-case letters.
        canonical_id = f"{change_sid}{event_id[len(change_sid or '') :]}"
        found = next((event for event in change.own_events if event.id == canonical_id), None) if change else None
        if found is None:
            raise NotFoundError
        return found

    def list_attempts(self, account_sid: str, event_id: str, page: PageRequest) -> Page[EventAttempt]:
        """Return a page of the attempts to deliver an event. Raises NotFoundError if the event does not exist."""
        return self.attempts.list(self.fetch(account_sid, event_id), page)

    def attempt_request(self, account_sid: str, event_id: str, attempt_name: str) -> SignedRequest:
        """Return the HTTP request of an attempt, signed with the current Auth Token.

        Convoke does not store requests. The method builds the request from the event and the attempt. Raises
        NotFoundError if the event or the attempt does not exist, or if the account has no Auth Token.
        """
        event, position = self.fetch(account_sid, event_id), position_of_attempt(attempt_name)
        attempt, token = self.attempts.fetch(event, position) if position else None, self.auth_tokens.fetch(account_sid)
        if attempt is None or token is None:
            raise NotFoundError
        delivery = Delivery(
            event=event,
            target=attempt.target,
            url=attempt.url,
            method=attempt.method,
            replay_sid=attempt.replay_sid,
        )
        return signed_request(delivery, retry_count=attempt.number - 1, auth_token=token)

    def replay(self, account_sid: str, event_id: str, replay: NewEventReplay) -> EventReplay:
        """Send an event again to its targets. The current webhooks or the current error-log URL determine the targets.

        If `replay.target` is given, only this target gets the event. Raises NotFoundError if the event does not exist.
        """
        event, sid = self.fetch(account_sid, event_id), self.new_sid(Prefix.REPLAY)
        return EventReplay(sid, event, self.delivery.replay(event, sid, replay.target))
