"""A unit of work: the writes that the embedded engine stores in one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from convoke.embedded.rows import Row
from convoke.storage.table import Item, Key

MAX_ROWS = 2_000
"""A unit with this many rows is committed before its tick ends, so that a commit takes a limited time."""


@dataclass(slots=True)
class Unit:
    """Collects rows that are not written to SQLite yet, and functions to call after the commit or its failure."""

    pending: dict[Key, Row | None] = field(default_factory=dict)
    """The rows to write. The value None means that the row must be deleted."""
    known: dict[Key, str | None] = field(default_factory=dict)
    """The JSON of each item that was read or written under the write lock. None means that there is no item."""
    stream: list[str] = field(default_factory=list)
    """The JSON of the new items to append to the stream."""
    changes: list[Item] = field(default_factory=list)
    """The new change records, which `SqliteTable` passes to `on_changes` after the commit."""
    rows: int = 0
    """The number of writes in this unit. Several writes to the same row count separately."""
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    on_failure: list[Callable[[Exception], None]] = field(default_factory=list)

    def write(self, key: Key, row: Row | None) -> None:
        self.pending[key] = row
        self.known[key] = row.body if row else None
        self.rows += 1
