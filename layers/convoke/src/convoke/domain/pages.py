"""The part of a list that a client requests, and the page that answers the request.

The page sizes are in api/pagination.py. See docs/behaviour/pagination.md.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Resource = TypeVar("Resource")


class Order(StrEnum):
    """The order of a list, as clients write it."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The part of a list that a client requests."""

    size: int
    """The maximum number of resources on the page."""
    position: str | None = None
    """A sort key, usually a SID. The resource at this position is not on the page. None is the start of the list."""
    forward: bool = True
    """True requests the resources after `position`. False requests the resources before `position`."""
    descending: bool = False
    """Whether the list is in descending order. "After" then means a smaller sort key."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Resource]):
    """One page: resources in the order of the list, and whether the list has a previous page and a next page."""

    resources: list[Resource]
    has_previous: bool
    has_next: bool
    before: str | None = None
    """The previous page ends before this position. None means the position of the first resource."""
    behind: str | None = None
    """The next page starts after this position. None means the position of the last resource."""

    @property
    def has_any(self) -> bool:
        """Whether the list has any resources, on this page or on another page."""
        return bool(self.resources) or self.has_previous or self.has_next


def page_of_list(resources: Sequence[Resource], sids: Sequence[str], page: PageRequest) -> Page[Resource]:
    """Return a page of the complete list `resources`.

    `sids` contains the SID of each resource. Both sequences must be in ascending order of the SIDs.
    """
    if page.forward:
        start = bisect_right(sids, page.position or "")
        end = start + page.size
    else:
        end = bisect_left(sids, page.position or "")
        start = max(end - page.size, 0)
    return Page([*resources[start:end]], has_previous=start > 0, has_next=end < len(resources))
