"""Simulate a table whose indexes and eventually consistent queries lag behind the writes.

On DynamoDB, an eventually consistent query can miss the last writes for a short time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convoke.embedded.sqlite import SqliteTable
from convoke.storage.table import Index, Item, Update, Write


class StaleTable:
    """Wraps a table and keeps an old copy of the table. The method `catch_up` updates the copy.

    Eventually consistent queries of the table read the copy. Queries of an index read the copy if `indexes_are_fresh`
    is false. `get` and `get_many` read the table.

    moto and SQLite always return the newest data. Therefore they cannot reveal a query that wrongly relies on new data.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._copy = SqliteTable(":memory:")
        self._unknown: list[Sequence[Write]] = []
        self.indexes_are_fresh = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def query(
        self, partition: str, *, index: Index | None = None, consistent: bool = False, **options: Any
    ) -> list[Item]:
        is_fresh = self.indexes_are_fresh if index else consistent
        read = self._table if is_fresh else self._copy
        found: list[Item] = read.query(partition, index=index, consistent=consistent, **options)
        return found

    def update(self, update: Update) -> Item:
        updated: Item = self._table.update(update)
        self._unknown.append([update])
        return updated

    def transact(self, writes: Sequence[Write]) -> None:
        self._table.transact(writes)
        self._unknown.append(writes)

    def catch_up(self) -> None:
        for writes in self._unknown:
            self._copy.transact(writes)
        self._unknown.clear()

    def close(self) -> None:
        self._copy.close()
        self._table.close()
