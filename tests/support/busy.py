"""Make reads of the data file fail. The reason seems to be a lock of another process, or an I/O error."""

from __future__ import annotations

import sqlite3
from typing import Any

from convoke.embedded.sqlite import SqliteTable
from convoke.storage.table import Key


class BusyConnection:
    """A connection whose next `failures` SELECT statements fail with the error `name`.

    Statements in a transaction do not fail, because the transaction of a unit already holds its locks.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if self.failures and not self.in_transaction and statement.startswith(("SELECT", "WITH")):
            self.failures -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = self._name
            raise error
        return self._connection.execute(statement, *parameters)


def make_busy(table: SqliteTable, name: str = "SQLITE_BUSY") -> BusyConnection:
    """Replace the connection of the table. To make reads fail, set `failures` of the returned connection."""
    connection = BusyConnection(table._connection, name)
    table._connection = connection  # type: ignore[assignment]
    return connection


def roll_back_during_select(table: SqliteTable) -> None:
    """Run a read that fails and makes SQLite roll back the transaction, as some I/O errors do.

    Raises UnavailableError, like every failed read.
    """
    table._connection.execute("ROLLBACK")
    table._connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
    try:
        table.get(Key("unreadable", "item"))
    finally:
        table._connection.set_authorizer(None)
