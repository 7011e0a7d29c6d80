"""Pages of a list.

See docs/behaviour/pagination.md.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

Resource = TypeVar("Resource")


class Order(StrEnum):
    """The order of a list."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The part of a list that a client asks for: `size` resources after `position`, or before it unless `forward`.

    A position is mostly a SID. None is the start of the list. `descending` reverses the list; `forward` is relative to
    the reversed list.
    """

    size: int
    position: str | None = None
    forward: bool = True
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Resource]):
    """Resources in the order of the list, and whether there are more before and after them."""

    resources: list[Resource]
    has_previous: bool
    has_next: bool
    before: str | None = None
    """The position before which the previous page ends; None means the position of the first resource."""
    behind: str | None = None
    """The position after which the next page starts; None means the position of the last resource."""

    @property
    def has_any(self) -> bool:
        """Whether the list has resources, on this page or another."""
        return bool(self.resources) or self.has_previous or self.has_next


def page_of_list(resources: Sequence[Resource], sids: Sequence[str], page: PageRequest) -> Page[Resource]:
    """Return a page of a complete list that is sorted by `sids`."""
    if page.forward:
        start = bisect_right(sids, page.position or "")
        end = start + page.size
    else:
        end = bisect_left(sids, page.position or "")
        start = max(end - page.size, 0)
    return Page([*resources[start:end]], has_previous=start > 0, has_next=end < len(resources))
