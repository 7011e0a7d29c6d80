"""One page of the conversations of a service: a query of each shard of the index `listed`, and one read of the items.

What is shown is read from the items, consistently: nothing that is deleted, and nothing as it was before. What the
index still lacks, for some milliseconds on AWS, is what was created just now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation
from convoke.domain.pages import Page, PageRequest
from convoke.storage import items, keys
from convoke.storage.paging import page_between
from convoke.storage.table import Item, Table, key_of

LOOKED_AT = 250
"""Entries of a shard that a page looks at, at the least, where only those of one state are wanted."""


@dataclass(frozen=True, slots=True)
class _Entries:
    """Of all shards, in the order they were read in."""

    found: list[Item]
    horizon: str | None
    """The position of the last of them, where there may be more behind it."""


def page_of(
    table: Table, account_sid: str, chat_service_sid: str, filters: ConversationFilters, page: PageRequest
) -> Page[Conversation]:
    """A page may be short where few are in the state that is wanted; then the list goes on from where looking ended."""
    forward = page.forward is not page.descending
    shards = keys.list_shards(account_sid, chat_service_sid)
    limit = max(page.size + 1, LOOKED_AT if filters.state else 0)
    read = [_read(table, account_sid, shard, filters, page, forward=forward, limit=limit) for shard in shards]
    entries = _merged(read, forward=forward, limit=limit)
    wanted = [entry for entry in entries.found if filters.state in (None, entry.get("state"))]
    shown = wanted[: page.size]
    end = _position(shown[-1]) if len(wanted) > page.size else entries.horizon
    return page_between(_resources(table, shown, filters), [*map(_position, shown)], end, page)


def _read(
    table: Table,
    account_sid: str,
    shard: str,
    filters: ConversationFilters,
    page: PageRequest,
    *,
    forward: bool,
    limit: int,
) -> list[Item]:
    return table.query(
        shard,
        index=keys.LISTED,
        between=keys.list_range(filters.start_date, filters.end_date),
        after=keys.list_neighbour(account_sid, shard, page.position) if page.position else None,
        forward=forward,
        limit=limit,
    )


def _merged(read: Iterable[list[Item]], *, forward: bool, limit: int) -> _Entries:
    """In order, up to where a shard may have more than was read of it: what lies behind that is not known yet."""
    nearest = min if forward else max
    pages = [*read]
    horizon = nearest((_position(page[-1]) for page in pages if len(page) == limit), default=None)
    within = [entry for page in pages for entry in page if horizon is None or _reaches(entry, horizon, forward=forward)]
    return _Entries(sorted(within, key=_position, reverse=not forward), horizon)


def _reaches(entry: Item, horizon: str, *, forward: bool) -> bool:
    return _position(entry) <= horizon if forward else _position(entry) >= horizon


def _position(entry: Item) -> str:
    return str(entry[keys.LISTED.sort])


def _resources(table: Table, shown: list[Item], filters: ConversationFilters) -> list[Conversation]:
    """The items as they are now. The index may not know yet that one is deleted, or in another state."""
    if not shown:
        return []
    found = table.get_many([key_of(entry) for entry in shown])
    read = (items.resource(Conversation, found[key]) for entry in shown if (key := key_of(entry)) in found)
    return [each for each in read if not each.date_removed and filters.state in (None, each.state)]
