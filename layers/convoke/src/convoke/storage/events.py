"""Store the event ledger. Each item of the ledger contains a change and the events of the change.

See docs/behaviour/events.md.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from pydantic import ValidationError

from convoke.domain.event_ids import to_moment
from convoke.domain.events import Change, Event, EventFilters, UnpublishedChange
from convoke.domain.pages import Page, PageRequest
from convoke.domain.retention import LEDGER_LIFETIME
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys, lists, paging
from convoke.storage.packing import pack_change, unpack_change
from convoke.storage.table import Item, Put, Table, key_of

logger = logging.getLogger(__name__)

LAST_PLACE = "999"
"""A string that sorts after the place of every event of a change. The place of an event has three digits."""


class UnreadableChangeError(Exception):
    """An item of the ledger cannot be converted to a change, for example because another version wrote the item."""

    def __init__(self, change: UnpublishedChange) -> None:
        super().__init__(f"the change {change.change_sid} cannot be read")
        self.change = change


def change_of(stored: Item) -> Change:
    """Convert an item of the ledger, or the new image of a stream record, to a change. Raises UnreadableChangeError."""
    try:
        return unpack_change(stored)
    except (ValidationError, LookupError, TypeError) as error:
        account_sid, change_sid = keys.sids_of_change(key_of(stored))
        raise UnreadableChangeError(UnpublishedChange(account_sid=account_sid, change_sid=change_sid)) from error


def change_write(change: Change) -> Put:
    """Return the write that stores a change and its events.

    The transaction that changes the resource must contain this write, so that no event is lost. See
    docs/how-it-works.md#promises.
    """
    key = keys.change(change.account_sid, change.sid)
    item = {"pk": key.pk, "sk": key.sk, **pack_change(change)}
    made_at = change.last_event_at or to_moment(change.last_event_id)
    item = items.with_expiry(item, made_at + LEDGER_LIFETIME)
    # A change without events has no `last_event_at`, so the change is in no list.
    if change.last_event_at:
        item |= keys.list_attributes(change.account_sid, keys.EVENTS, change.sid, change.last_event_at)
    return Put(item)


@lean_dataclass
class EventRepository:
    table: Table

    def fetch(self, account_sid: str, change_sid: str) -> Change | None:
        stored = self.table.get(keys.change(account_sid, change_sid))
        return change_of(stored) if stored else None

    def list(self, account_sid: str, filters: EventFilters, page: PageRequest) -> Page[Event]:
        """Return a page of an account's events, ordered by date. The events of one change are adjacent.

        If a change cannot be read, the error is logged and the page does not contain the events of the change.
        """
        forward = page.forward is not page.descending
        list_query = lists.ListQuery(
            account_sid,
            keys.EVENTS,
            _range_from(page.position, keys.list_range(filters.start_date, filters.end_date), forward=forward),
            only=("conversation_sid", filters.conversation_sid) if filters.conversation_sid else None,
        )
        # The last change of the previous page may have more events, so the query reads this change again. If it has no
        # more events, it adds nothing to this page. Therefore read one change more than the page size.
        entries = lists.query_entries(self.table, list_query, page.size + 1, forward=forward)
        listed = [
            event
            for position, item in lists.fetch_items(self.table, entries)
            for event in _listed_events(position, item, forward=forward)
            # A change of a conversation can also contain events about new Users. These events have no conversation SID.
            if filters.conversation_sid in (None, event.event.conversation_sid)
            and _is_after_position(event, page, forward=forward)
        ]
        shown = listed[: page.size]
        if len(listed) > page.size:
            end: str | None = shown[-1].position
        else:
            end = entries.end and _end_of_change(entries.end, forward=forward)
        return paging.page_of_entries(shown, [each.position for each in shown], end, page)


class _ListedEvent(NamedTuple):
    """An event in a list, with its position in the list."""

    position: str
    """The position of the change in the list, `#`, and the place of the event in the change."""
    event: Event


def _listed_events(position: str, stored: Item, *, forward: bool) -> list[_ListedEvent]:
    try:
        change = change_of(stored)
    except UnreadableChangeError:
        logger.exception("a change is left out of the list of events")
        return []
    listed = [_ListedEvent(f"{position}#{place:03}", event) for place, event in enumerate(change.own_events)]
    return listed if forward else listed[::-1]


def _is_after_position(listed: _ListedEvent, page: PageRequest, *, forward: bool) -> bool:
    if page.position is None:
        return True
    return listed.position > page.position if forward else listed.position < page.position


def _end_of_change(change_position: str, *, forward: bool) -> str:
    """Return a position that comes after all events of the change, in the direction of the list."""
    return f"{change_position}#{LAST_PLACE if forward else ''}"


def _range_from(position: str | None, between: tuple[str, str], *, forward: bool) -> tuple[str, str]:
    """Return the part of the range `between` that the query for a page must read.

    `position` is the position after which the page begins. It contains the position of a change. The part begins with
    this change, and continues in the direction of the list. If `position` is None, the part is the whole range.
    """
    if position is None:
        return between
    change_position = position.rpartition("#")[0]
    return (change_position, between[1]) if forward else (between[0], change_position)
