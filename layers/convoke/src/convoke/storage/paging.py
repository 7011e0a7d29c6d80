"""Pages of what a query found."""

from __future__ import annotations

from convoke.domain.pages import Page, PageRequest, Resource
from convoke.storage import items
from convoke.storage.items import AnyModel
from convoke.storage.table import Key, Table


def page_of(
    model: type[AnyModel],
    table: Table,
    partition: str,
    between: tuple[str, str],
    page: PageRequest,
    position: Key | None,
) -> Page[AnyModel]:
    """Of the resources whose keys lie in a range of one partition, by one query.

    `position` is the key of the resource that the page lies behind or, going backwards, before.

    One more than the page holds is read, to know whether the list goes on. That it goes on on the side it came from
    is taken from there being a position at all.
    """
    found = table.query(
        partition,
        limit=page.size + 1,
        between=between,
        after={"pk": position.pk, "sk": position.sk} if position else None,
        forward=page.forward != page.descending,
        consistent=True,
    )
    more, shown = len(found) > page.size, found[: page.size]
    resources = [items.resource(model, stored) for stored in (shown if page.forward else reversed(shown))]
    came_from = position is not None
    if page.forward:
        return Page(resources, has_previous=came_from, has_next=more)
    return Page(resources, has_previous=more, has_next=came_from)


def page_between(resources: list[Resource], shown: list[str], end: str | None, page: PageRequest) -> Page[Resource]:
    """A page of what the entries of an index led to, both in the order they were read in; `shown` are their positions.

    Its neighbours begin at these, whatever became of the items; at `end`, where looking ended and there may be more.
    """
    first = shown[0] if shown else end
    last = end or (shown[-1] if shown else None)
    came_from = page.position is not None and first is not None
    if page.forward:
        return Page(resources, has_previous=came_from, has_next=end is not None, before=first, behind=last)
    return Page(resources[::-1], has_previous=end is not None, has_next=came_from, before=last, behind=first)
