"""Pages of lists: the page that a client requests, and the page that the response contains.

The page sizes are in api/pagination.py. See docs/behaviour/pagination.md.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

Resource = TypeVar("Resource")


class Order(StrEnum):
    """The order of a list. The values are the words that clients send."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page of a list that a client requests."""

    size: int
    """The maximum number of resources on the page."""
    position: str | None = None
    """A sort key, which is usually a SID. `forward` says whether the page begins after or ends before this key.

    If None, a page with `forward` begins with the first resource of the list.
    """
    forward: bool = True
    """Whether the page begins after `position`. If False, the page ends before `position`."""
    descending: bool = False
    """Whether the list is in descending order. If True, the resources after `position` have smaller keys."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Resource]):
    """One page of a list. `has_previous` and `has_next` show whether there are pages before and after this page."""

    resources: list[Resource]
    """The resources in the order of the list."""
    has_previous: bool
    has_next: bool
    before: str | None = None
    """The previous page ends before this sort key. None means the sort key of the first resource on this page."""
    behind: str | None = None
    """The next page starts after this sort key. None means the sort key of the last resource on this page."""
    positions: Sequence[str] = ()
    """The sort key of each resource. Empty if the resources are sorted by SID."""

    def shortened(self, count: int, positions: Sequence[str], *, forward: bool) -> Page[Resource]:
        """Return a copy of this page with only `count` resources.

        `positions` contains the sort key of each resource. `forward` is the direction of the request, as in
        `PageRequest`. If `forward` is True, the copy keeps the first resources, and has a next page. If `forward` is
        False, the client comes from the next page. The copy then keeps the last resources, and has a previous page.
        """
        if forward:
            return replace(self, resources=self.resources[:count], has_next=True, behind=positions[count - 1])
        return replace(self, resources=self.resources[-count:], has_previous=True, before=positions[-count])


def page_of_list(resources: Sequence[Resource], sids: Sequence[str], page: PageRequest) -> Page[Resource]:
    """Return the requested page of a list. `resources` contains all resources of the list.

    `sids` contains the SIDs of the resources, in the order of `resources`. The SIDs must be in ascending order.
    """
    if page.forward:
        start = bisect_right(sids, page.position or "")
        end = start + page.size
    else:
        end = bisect_left(sids, page.position or "")
        start = max(end - page.size, 0)
    return Page([*resources[start:end]], has_previous=start > 0, has_next=end < len(resources))
