"""Build pages from the results of a query. See docs/behaviour/pagination.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convoke.domain.pages import Page, PageRequest, Resource
from convoke.storage import items
from convoke.storage.items import AnyModel
from convoke.storage.table import Key, Table

MIN_ITEMS_WITH_FILTER = 250
"""The minimum number of items that are read for a page of a filtered list.

Few resources may match the filter. Without this minimum, most pages would then be almost empty.
"""


def query_page(
    model: type[AnyModel],
    table: Table,
    partition: str,
    between: tuple[str, str],
    page: PageRequest,
    position: Key | None,
) -> Page[AnyModel]:
    """Return a page of resources from one partition. The sort keys of the resources are in the range `between`.

    `position` is the key of a resource. A forward page begins after this resource, and a backward page ends before it.
    Without `position`, a forward page begins at the start of the list, and a backward page ends at the end.
    """
    found = table.query(
        partition,
        # Read one resource more than the page holds. The additional resource shows that the list continues.
        limit=page.size + 1,
        between=between,
        after=position._asdict() if position else None,
        forward=page.forward != page.descending,
        consistent=True,
    )
    resources = [items.to_resource(model, stored) for stored in found[: page.size]]
    return page_of_query(resources, page, more=len(found) > page.size)


def page_of_query(found: Sequence[Resource], page: PageRequest, *, more: bool) -> Page[Resource]:
    """Return a page that contains the resources in `found`.

    The resources are in the order of the query. `more` is True if the query would find further resources.
    """
    # If there is a position, assume that the list also has resources on the other side of the position. A check would
    # cost a second query.
    has_position = bool(page.position)
    if page.forward:
        return Page([*found], has_previous=has_position, has_next=more)
    return Page([*reversed(found)], has_previous=more, has_next=has_position)


def query_filtered_page(
    model: type[AnyModel],
    table: Table,
    partition: str,
    between: tuple[str, str],
    page: PageRequest,
    position: Key | None,
    is_shown: Callable[[AnyModel], bool],
) -> Page[AnyModel]:
    """Return a page of the resources for which `is_shown` returns True. See `query_page` for the other parameters.

    The sort keys must end with `#` and the position of the resource in the list. The list must be in ascending order.
    If `is_shown` returns True for only a few resources, the page can be short or empty although the list continues.
    """
    limit = max(page.size + 1, MIN_ITEMS_WITH_FILTER)
    found = table.query(
        partition,
        limit=limit,
        between=between,
        after=position._asdict() if position else None,
        forward=page.forward,
        consistent=True,
    )
    resources = [(str(stored["sk"]).rpartition("#")[2], items.to_resource(model, stored)) for stored in found]
    matching = [(at, resource) for at, resource in resources if is_shown(resource)]
    shown = matching[: page.size]
    positions = [at for at, _ in shown]
    end = positions[-1] if len(matching) > page.size else resources[-1][0] if len(found) == limit else None
    return page_of_entries(shown, positions, end, page)


def page_of_entries(
    found: Sequence[tuple[str, Resource]], positions: Sequence[str], end: str | None, page: PageRequest
) -> Page[Resource]:
    """Return a page of the resources that belong to the entries that a query has found.

    An entry is an item of an index that refers to a resource, or the item of the resource itself.

    - `found` contains each resource with the position of its entry, in the order of the query.
    - `positions` contains the positions of the entries, in the order of the query. An entry whose resource is not shown
      may have a position too. Therefore the neighbouring pages start at positions of entries, not of resources.
    - `end` is the position after which there may be more entries, or None if there are no more entries.
    """
    first = positions[0] if positions else end
    last = end or (positions[-1] if positions else None)
    has_position = page.position is not None and first is not None
    shown = found if page.forward else found[::-1]
    resources, shown_positions = [resource for _, resource in shown], [position for position, _ in shown]
    if page.forward:
        return Page(
            resources,
            has_previous=has_position,
            has_next=end is not None,
            before=first,
            behind=last,
            positions=shown_positions,
        )
    return Page(
        resources,
        has_previous=end is not None,
        has_next=has_position,
        before=last,
        behind=first,
        positions=shown_positions,
    )
