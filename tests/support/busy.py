"""Simulate reads of the data file that fail because of another process's lock or an I/O error."""

from __future__ import annotations

import sqlite3
from typing import Any

from convoke.embedded.sqlite import SqliteTable
from convoke.storage.table import Key


class BusyConnection:
    """Makes the next `failures` queries fail with the SQLite error `name`. A query begins with SELECT or WITH.

    Statements inside a transaction succeed, because the transaction holds its locks.
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
    """Replace the table's connection with a BusyConnection, and return the BusyConnection."""
    connection = BusyConnection(table._connection, name)
    table._connection = connection  # type: ignore[assignment]
    return connection


def roll_back_during_select(table: SqliteTable) -> None:
    """Simulate a read whose I/O error makes SQLite roll back the whole transaction.

    Raises UnavailableError, because the read fails.
    """
    table._connection.execute("ROLLBACK")
    table._connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
    try:
        table.get(Key("unreadable", "item"))
    finally:
        table._connection.set_authorizer(None)
