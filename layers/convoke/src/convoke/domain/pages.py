"""Pages of a list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Resource = TypeVar("Resource")


class Order(StrEnum):
    """Which end of a list comes first."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: `size` resources behind, or before, the one at `position`, mostly its SID.

    A list may be asked for from its end; `forward` is the direction in it, whichever way it runs.
    """

    size: int
    position: str | None = None
    forward: bool = True
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Resource]):
    """Resources in the order of the list, and whether there are more on either side."""

    resources: list[Resource]
    has_previous: bool
    has_next: bool
    before: str | None = None
    """The position that the previous page ends before; None for that of the first resource."""
    behind: str | None = None
    """The position that the next page begins behind; None for that of the last resource."""

    @property
    def has_any(self) -> bool:
        """Whether the list has resources here, or may have them elsewhere."""
        return bool(self.resources) or self.has_previous or self.has_next


def page_of_list(resources: Sequence[Resource], sids: Sequence[str], page: PageRequest) -> Page[Resource]:
    """A page of a list that is at hand as a whole, with the SIDs that it is in the order of."""
    if page.forward:
        start = bisect_right(sids, page.position or "")
        end = start + page.size
    else:
        end = bisect_left(sids, page.position or "")
        start = max(end - page.size, 0)
    return Page([*resources[start:end]], has_previous=start > 0, has_next=end < len(resources))
