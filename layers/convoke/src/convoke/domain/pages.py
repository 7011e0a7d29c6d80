"""Pages of a list."""

from __future__ import annotations

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
