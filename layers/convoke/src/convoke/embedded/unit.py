"""Define the unit of work: the writes that the embedded engine stores in one commit.

A unit that cannot be committed is dropped: none of its writes is stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from convoke.embedded.rows import Row
from convoke.storage.table import Item, Key

MAX_ROWS = 2_000
"""A unit with at least this many rows is committed before the end of the event loop's tick.

A larger commit would take too long.
"""


@dataclass(slots=True)
class Unit:
    """Collects the rows of one commit, before the table writes them to SQLite.

    After the commit, the table calls the functions in `on_commit`. If the table drops the unit, the table calls the
    functions in `on_failure`.
    """

    pending: dict[Key, Row | None] = field(default_factory=dict)
    """The rows to write. The key is the item's key. The value None means that the row must be deleted."""
    known: dict[Key, str | None] = field(default_factory=dict)
    """The items that were read or written under the write lock. The key is the item's key.

    The value is the JSON of the item, or None if the item does not exist.
    """
    stream: list[str] = field(default_factory=list)
    """The new items that the commit appends to the stream, as JSON."""
    changes: list[Item] = field(default_factory=list)
    """The new change records. A change record is the item that contains the events of one change.

    After the commit, `SqliteTable` passes the change records to `on_changes`.
    """
    rows: int = 0
    """How many row writes are in this unit. A row that is written twice counts twice."""
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    on_failure: list[Callable[[Exception], None]] = field(default_factory=list)
    is_open: bool = True
    """False after the unit is committed or dropped."""

    def write(self, rows: Mapping[Key, Row | None]) -> None:
        """Add rows to the unit. A row of None deletes the stored row."""
        self.pending.update(rows)
        self.known.update({key: row.body if row else None for key, row in rows.items()})
        self.rows += len(rows)


class _OpenUnits(threading.local):
    """The units that the current thread opened, oldest first. Each table has at most one open unit."""

    def __init__(self) -> None:
        self.units: list[Unit] = []


_open_units = _OpenUnits()


def new_unit() -> Unit:
    """Open a unit on the current thread."""
    unit = Unit()
    _open_units.units = [*(each for each in _open_units.units if each.is_open), unit]
    return unit


def open_unit() -> Unit | None:
    """Return the newest open unit of the current thread. Return None if no unit is open."""
    return next((unit for unit in reversed(_open_units.units) if unit.is_open), None)
