"""Pages of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Resource = TypeVar("Resource")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: `size` resources behind, or before, the one with the SID `position`.

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
