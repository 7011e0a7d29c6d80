"""Fetch pages of lists that are ordered by date.

To build a page, this module queries each shard of the index `listed`, merges the entries, and reads the item of each
entry.

The items are read with strong consistency, so a page shows no old state. On DynamoDB, the index is eventually
consistent, so a page may lack a resource that was created some milliseconds ago. See
docs/behaviour/pagination.md#consistency and https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.items import AnyModel
from convoke.storage.paging import page_of_entries
from convoke.storage.table import Index, Item, Table, key_of

MIN_ENTRIES_WITH_FILTER = 250
"""The minimum number of entries that are read from each shard for a page of a filtered list.

Few entries may match the filter. Without this minimum, most pages would then be almost empty.
"""


@lean_dataclass
class ListQuery:
    """Selects entries of one list."""

    account_sid: str
    name: str
    between: tuple[str, str]
    """The first and the last position of the range."""
    after: str | None = None
    """The position after which the query starts, in the direction of the query. None means the start of the range."""
    only: tuple[str, str] | None = None
    """The name of an attribute and its required value, or None for all entries.

    The index must project the attribute.
    """

    @property
    def index(self) -> Index:
        """The index `listed`, with only the projected attribute that this query needs.

        On SQLite, each projected attribute must be extracted from the JSON of the item. Therefore attributes that the
        query does not need are left out.
        """
        return replace(keys.LISTED, projected=self.only[:1] if self.only else ())


@lean_dataclass
class ListEntries:
    """The merged entries of all shards, in the order of the query."""

    found: list[Item]
    end: str | None
    """The position after which there may be more entries, or None if there are no more entries."""

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
    """Return a page of the resources in a list.

    The page contains only the resources for which `is_shown` returns True. `is_shown` must exclude tombstones. It
    receives the stored resource, which may be newer than the index.
    """
    entries = query_entries(table, list_query, page.size, forward=page.forward is not page.descending)
    stored = fetch_items(table, entries)
    resources = [(position, items.to_resource(model, item)) for position, item in stored]
    shown = [(position, resource) for position, resource in resources if is_shown(resource)]
    return page_of_entries(shown, entries.positions, entries.end, page)


def query_entries(table: Table, list_query: ListQuery, max_entries: int, *, forward: bool) -> ListEntries:
    """Return at most `max_entries` entries that match the filter.

    Each shard is queried only once. If few entries match the filter, the result may therefore be short or empty
    although the list continues. `end` is then the position up to which all shards were read.
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


def fetch_items(table: Table, entries: ListEntries) -> list[tuple[str, Item]]:
    """Return the position and the item of each entry, in the order of the entries.

    Entries whose item no longer exists are skipped. Such entries can exist, because the index is eventually consistent.
    """
    entry_keys = [key_of(entry) for entry in entries.found]
    found = table.get_many(entry_keys) if entry_keys else {}
    return [(position, found[key]) for position, key in zip(entries.positions, entry_keys, strict=True) if key in found]


def position_of(entry: Item) -> str:
    return str(entry[keys.LISTED.sort])


def _query_shard(table: Table, list_query: ListQuery, shard: str, *, forward: bool, limit: int) -> list[Item]:
    return table.query(
        shard,
        index=list_query.index,
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
    """Merge the entries of all shards. `pages` has one page for each shard.

    A page with `limit` entries may be incomplete: its shard may have further entries, which were not read. These
    entries come after the end of the page. Therefore the result ends at the first position at which an incomplete page
    ends.
    """
    nearest = min if forward else max
    end = nearest((position_of(page[-1]) for page in pages if len(page) == limit), default=None)
    complete = [entry for page in pages for entry in page if end is None or _is_up_to(entry, end, forward=forward)]
    return ListEntries(sorted(complete, key=position_of, reverse=not forward), end)


def _is_up_to(entry: Item, end: str, *, forward: bool) -> bool:
    return position_of(entry) <= end if forward else position_of(entry) >= end
