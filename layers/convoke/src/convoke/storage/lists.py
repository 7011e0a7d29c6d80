"""Lists ordered by date: query each shard of the index `listed`, merge the entries, and read their items.

The items are read consistently: a page shows no deleted resource and no old state. The index of DynamoDB is eventually
consistent, so a page may lack a resource that was created some milliseconds ago. See
docs/behaviour/pagination.md#consistency and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.storage import items, keys
from convoke.storage.items import AnyModel
from convoke.storage.paging import page_of_entries
from convoke.storage.table import Item, Table, key_of

MIN_ENTRIES_WITH_FILTER = 250
"""A page of a filtered list reads at least this many entries of each shard.

If few entries match the filter, a page would otherwise be nearly empty.
"""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Selects entries of one list."""

    account_sid: str
    name: str
    between: tuple[str, str]
    """A range of positions. It includes both ends."""
    after: str | None = None
    """The position that the entries follow in the direction of the query."""
    only: tuple[str, str] | None = None
    """An attribute of the entries, and the value that it must have. The index must project the attribute."""


@dataclass(frozen=True, slots=True)
class ListEntries:
    """Entries of all shards, merged, in the order of the query."""

    found: list[Item]
    end: str | None
    """The position after which there may be more entries, or None if there are no more."""

    @property
    def positions(self) -> list[str]:
        return [position_of(entry) for entry in self.found]


def list_page(
    model: type[AnyModel],
    table: Table,
    list_query: ListQuery,
    page: PageRequest,
    is_shown: Callable[[AnyModel], bool] = lambda _: True,
) -> Page[AnyModel]:
    """Return a page of the resources that the entries lead to.

    `is_shown` filters the resources. It sees their current state, which may be newer than the index.
    """
    entries = query_entries(table, list_query, page.size, forward=page.forward is not page.descending)
    resources = (items.to_resource(model, stored) for stored in fetch_items(table, entries))
    return page_of_entries([each for each in resources if is_shown(each)], entries.positions, entries.end, page)


def query_entries(table: Table, list_query: ListQuery, max_entries: int, *, forward: bool) -> ListEntries:
    """Return up to `max_entries` entries.

    There may be fewer, even none, although the list continues: each shard is queried once, and few entries may match
    the filter. `end` is then the position of the last entry that was read.
    """
    limit = max(max_entries + 1, MIN_ENTRIES_WITH_FILTER if list_query.only else 0)
    pages = [
        _query_shard(table, list_query, shard, forward=forward, limit=limit)
        for shard in keys.list_shards(list_query.account_sid, list_query.name)
    ]
    entries = _merge(pages, forward=forward, limit=limit)
    matching = [entry for entry in entries.found if _matches(entry, list_query)]
    found = matching[:max_entries]
    return ListEntries(found, position_of(found[-1]) if len(matching) > max_entries else entries.end)


def fetch_items(table: Table, entries: ListEntries) -> list[Item]:
    """Return the items of the entries, in their order. Deleted items are left out: the index may still have them."""
    entry_keys = [key_of(entry) for entry in entries.found]
    found = table.get_many(entry_keys) if entry_keys else {}
    return [found[key] for key in entry_keys if key in found]


def position_of(entry: Item) -> str:
    return str(entry[keys.LISTED.sort])


def _query_shard(table: Table, list_query: ListQuery, shard: str, *, forward: bool, limit: int) -> list[Item]:
    return table.query(
        shard,
        index=keys.LISTED,
        between=list_query.between,
        after=keys.list_start_key(list_query.account_sid, shard, list_query.after) if list_query.after else None,
        forward=forward,
        limit=limit,
    )


def _matches(entry: Item, list_query: ListQuery) -> bool:
    if list_query.only is None:
        return True
    name, value = list_query.only
    return entry.get(name) == value


def _merge(pages: Sequence[list[Item]], *, forward: bool, limit: int) -> ListEntries:
    """Merge one page of each shard.

    A full page ends before the end of its shard. Entries of other shards after that position are left out, because
    unread entries of the full shard may come before them.
    """
    nearest = min if forward else max
    end = nearest((position_of(page[-1]) for page in pages if len(page) == limit), default=None)
    complete = [entry for page in pages for entry in page if end is None or _is_up_to(entry, end, forward=forward)]
    return ListEntries(sorted(complete, key=position_of, reverse=not forward), end)


def _is_up_to(entry: Item, end: str, *, forward: bool) -> bool:
    return position_of(entry) <= end if forward else position_of(entry) >= end
