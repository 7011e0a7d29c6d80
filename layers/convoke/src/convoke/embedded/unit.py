"""A unit of work: the writes that the embedded engine stores in one commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from convoke.embedded.rows import Row
from convoke.storage.table import Item, Key

MAX_ROWS = 2_000
"""A unit with at least this number of rows is committed before the current tick of the event loop ends.

A larger commit would take too long.
"""


@dataclass(slots=True)
class Unit:
    """Collects the rows of one commit before the table writes the rows to SQLite.

    The table calls the functions in `on_commit` after the commit. If the table drops the unit, the table calls the
    functions in `on_failure`.
    """

    pending: dict[Key, Row | None] = field(default_factory=dict)
    """Maps the key of an item to the row to write. The value None means that the row must be deleted."""
    known: dict[Key, str | None] = field(default_factory=dict)
    """Maps the key of each item that was read or written under the write lock to the JSON of the item.

    The value None means that the item does not exist.
    """
    stream: list[str] = field(default_factory=list)
    """The JSON of the new items that the commit appends to the stream."""
    changes: list[Item] = field(default_factory=list)
    """The new change records, which `SqliteTable` passes to `on_changes` after the commit."""
    rows: int = 0
    """The number of row writes in this unit. A row that is written twice counts twice."""
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    on_failure: list[Callable[[Exception], None]] = field(default_factory=list)
    is_open: bool = True
    """False after the unit was committed or dropped."""

    def write(self, rows: Mapping[Key, Row | None]) -> None:
        """Add rows to the unit. The value None means that the row must be deleted."""
        self.pending.update(rows)
        self.known.update({key: row.body if row else None for key, row in rows.items()})
        self.rows += len(rows)


class _OpenUnits(threading.local):
    """The units that the current thread has opened, oldest first. Each table has at most one open unit."""

    def __init__(self) -> None:
        self.units: list[Unit] = []


_open_units = _OpenUnits()


def new_unit() -> Unit:
    """Open a unit in the current thread."""
    unit = Unit()
    _open_units.units = [*(each for each in _open_units.units if each.is_open), unit]
    return unit


def open_unit() -> Unit | None:
    """Return the open unit that the current thread has opened last. Return None if no unit is open."""
    return next((unit for unit in reversed(_open_units.units) if unit.is_open), None)
