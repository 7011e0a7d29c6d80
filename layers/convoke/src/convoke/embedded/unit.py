"""A unit of work: everything that one commit of the embedded engine writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from convoke.embedded.rows import Row
from convoke.storage.table import Item, Key

MAX_ROWS = 2_000
"""Rows after which a unit is committed before its tick ends, so that one commit takes a bounded time."""


@dataclass(slots=True)
class Unit:
    """Holds what SQLite's open write transaction has not been given yet, and what must happen after the commit."""

    pending: dict[Key, Row | None] = field(default_factory=dict)
    """Rows to write; None removes the row."""
    known: dict[Key, str | None] = field(default_factory=dict)
    """The JSON under each key that was read or written since the write lock was taken; None if there is no item."""
    stream: list[str] = field(default_factory=list)
    """The JSON of new items that the stream carries."""
    changes: list[Item] = field(default_factory=list)
    """New items that the listeners get."""
    rows: int = 0
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    on_failure: list[Callable[[Exception], None]] = field(default_factory=list)

    def write(self, key: Key, row: Row | None) -> None:
        self.pending[key] = row
        self.known[key] = row.body if row else None
        self.rows += 1
