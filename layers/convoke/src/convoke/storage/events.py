"""The ledger: changes with the events that are published, and the attempts to deliver them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import LEDGER_LIFETIME, Change, Event, EventFilters
from convoke.domain.pages import Page, PageRequest
from convoke.domain.webhooks import Delivery
from convoke.storage import items, keys, lists, paging
from convoke.storage.packing import packed, unpacked
from convoke.storage.table import Item, Put, Set, Table, Update

LAST_PLACE = "999"
"""Behind that of every event in its change."""


def change_of(stored: Item) -> Change:
    """The change in a record of the table's stream."""
    return unpacked(stored)


def recorded(change: Change) -> Put:
    """To be written with what changes (promise 6). One that tells nothing is in no list."""
    key = keys.change(change.account_sid, change.sid)
    made = {"pk": key.pk, "sk": key.sk, **packed(change)}
    if change.last_event_at:
        made = items.expiring(made, change.last_event_at + LEDGER_LIFETIME)
        made |= keys.listed(change.account_sid, keys.EVENTS, change.sid, change.last_event_at)
    return Put(made)


@dataclass(frozen=True, slots=True)
class EventRepository:
    table: Table

    def fetch(self, account_sid: str, change_sid: str) -> Change | None:
        stored = self.table.get(keys.change(account_sid, change_sid))
        return change_of(stored) if stored else None

    def list(self, account_sid: str, filters: EventFilters, page: PageRequest) -> Page[Event]:
        """The events of an account by their dates, those of a change beside each other.

        Of the change at the position some events may be left, or none, so it and one change more are looked up.
        """
        forward = page.forward is not page.descending
        listing = lists.Listing(
            account_sid,
            keys.EVENTS,
            _from_change_at(page.position, keys.list_range(filters.start_date, filters.end_date), forward=forward),
            only=("conversation_sid", filters.conversation_sid) if filters.conversation_sid else None,
        )
        entries = lists.entries_of(self.table, listing, page.size + 1, forward=forward)
        stored = lists.items_of(self.table, entries)
        told = [
            each for item in stored for each in _told(item, forward=forward) if _is_behind(each, page, forward=forward)
        ]
        shown = told[: page.size]
        end = shown[-1].position if len(told) > page.size else entries.end and _end_of(entries.end, forward=forward)
        return paging.page_between([each.event for each in shown], [each.position for each in shown], end, page)


class _Told(NamedTuple):
    """An event in the list: at the position of its change, and by its place in it."""

    position: str
    event: Event


def _told(stored: Item, *, forward: bool) -> list[_Told]:
    change, position = change_of(stored), lists.position_of(stored)
    told = [_Told(f"{position}#{place:03}", event) for place, event in enumerate(change.own_events)]
    return told if forward else told[::-1]


def _is_behind(told: _Told, page: PageRequest, *, forward: bool) -> bool:
    if page.position is None:
        return True
    return told.position > page.position if forward else told.position < page.position


def _end_of(change_position: str, *, forward: bool) -> str:
    """Behind every event of the change."""
    return f"{change_position}#{LAST_PLACE if forward else ''}"


def _from_change_at(position: str | None, between: tuple[str, str], *, forward: bool) -> tuple[str, str]:
    if position is None:
        return between
    change_position = position.rpartition("#")[0]
    return (change_position, between[1]) if forward else (between[0], change_position)


@dataclass(frozen=True, slots=True)
class EventAttemptRepository:
    table: Table

    def put(self, delivery: Delivery, attempt: EventAttempt) -> None:
        """Record an attempt, in the place of the record with the same number.

        By an update, which costs half of what a transaction does.
        """
        key = keys.attempt(delivery.event.account_sid, attempt.event_id, attempt.position)
        attributes = items.expiring(attempt.model_dump(mode="json", exclude_none=True), attempt.date_expires)
        self.table.update(Update(key, tuple(Set(name, value) for name, value in attributes.items())))

    def list(self, event: Event, page: PageRequest) -> Page[EventAttempt]:
        position = keys.attempt(event.account_sid, event.id, page.position) if page.position else None
        partition, between = keys.attempts(event.account_sid, event.id)
        return paging.page_of(EventAttempt, self.table, partition, between, page, position)
