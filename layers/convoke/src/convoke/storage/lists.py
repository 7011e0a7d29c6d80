"""Lists by date: a query of each shard of the index `listed`, merged, and one read of the items.

What is shown is read from the items, consistently: nothing that is deleted, and nothing as it was before. What the
index still lacks, for some milliseconds on AWS, is what was created just now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.storage import items, keys
from convoke.storage.items import AnyModel
from convoke.storage.paging import page_between
from convoke.storage.table import Item, Table, key_of

MIN_ENTRIES_WITH_FILTER = 250
"""Entries of a shard that a page looks at, at the least, where only some of them are wanted."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Which entries of which list."""

    account_sid: str
    name: str
    between: tuple[str, str]
    """Positions, both ends included."""
    after: str | None = None
    """The position that they lie behind."""
    only: tuple[str, str] | None = None
    """An attribute that the index projects, and its value."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Of all shards, in the order they were read in."""

    found: list[Item]
    end: str | None
    """The position behind which there may be more."""

    @property
    def positions(self) -> list[str]:
        return [position_of(entry) for entry in self.found]


def page_of(
    model: type[AnyModel],
    table: Table,
    listing: Listing,
    page: PageRequest,
    is_shown: Callable[[AnyModel], bool] = lambda _: True,
) -> Page[AnyModel]:
    """One resource an entry. `is_shown` is asked of it as it is now."""
    entries = entries_of(table, listing, page.size, forward=page.forward is not page.descending)
    resources = (items.resource(model, stored) for stored in items_of(table, entries))
    return page_between([each for each in resources if is_shown(each)], entries.positions, entries.end, page)


def entries_of(table: Table, listing: Listing, most: int, *, forward: bool) -> Entries:
    """May be few where few are wanted; then the list goes on from where looking ended."""
    limit = max(most + 1, MIN_ENTRIES_WITH_FILTER if listing.only else 0)
    read = [
        _read(table, listing, shard, forward=forward, limit=limit)
        for shard in keys.list_shards(listing.account_sid, listing.name)
    ]
    entries = _merged(read, forward=forward, limit=limit)
    wanted = [entry for entry in entries.found if _is_wanted(entry, listing)]
    shown = wanted[:most]
    return Entries(shown, position_of(shown[-1]) if len(wanted) > most else entries.end)


def items_of(table: Table, entries: Entries) -> list[Item]:
    """The items as they are now, without those that are gone: the index may not know it yet."""
    wanted = [key_of(entry) for entry in entries.found]
    found = table.get_many(wanted) if wanted else {}
    return [found[key] for key in wanted if key in found]


def position_of(entry: Item) -> str:
    return str(entry[keys.LISTED.sort])


def _read(table: Table, listing: Listing, shard: str, *, forward: bool, limit: int) -> list[Item]:
    return table.query(
        shard,
        index=keys.LISTED,
        between=listing.between,
        after=keys.list_neighbour(listing.account_sid, shard, listing.after) if listing.after else None,
        forward=forward,
        limit=limit,
    )


def _is_wanted(entry: Item, listing: Listing) -> bool:
    if listing.only is None:
        return True
    name, value = listing.only
    return entry.get(name) == value


def _merged(read: Iterable[list[Item]], *, forward: bool, limit: int) -> Entries:
    """In order, up to where a shard may have more than was read of it: what lies behind that is not known yet."""
    nearest = min if forward else max
    pages = [*read]
    end = nearest((position_of(page[-1]) for page in pages if len(page) == limit), default=None)
    within = [entry for page in pages for entry in page if end is None or _reaches(entry, end, forward=forward)]
    return Entries(sorted(within, key=position_of, reverse=not forward), end)


def _reaches(entry: Item, end: str, *, forward: bool) -> bool:
    return position_of(entry) <= end if forward else position_of(entry) >= end
