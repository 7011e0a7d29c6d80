"""Create, open and migrate the data file.

The pragma `user_version` holds the number of the data format. The pragma `application_id` marks the file as a data file
of Convoke. See https://www.sqlite.org/pragma.html.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from convoke.domain.receivers import receiver_of
from convoke.embedded.rows import index_columns
from convoke.storage.keys import INDEXES
from convoke.storage.table import EXPIRES_AT

APPLICATION_ID = 0x436F6E76
"""`Conv` in ASCII. Tools such as `file` show this value."""

DATA_FORMAT = 5
"""The number of the current data format.

Increase the number with every change of the tables below or of `keys.INDEXES`. The table `items` has two columns for
each index in `keys.INDEXES`.
"""

OLDEST_DATA_FORMAT = 4
"""The oldest data format that this version of Convoke can migrate."""

OPEN_TIMEOUT_SECONDS = 10
"""How long `open_data_file` waits while another process creates or migrates the same file."""

MEMORY = ":memory:"
"""The path of an in-memory database. The database disappears when its connection is closed."""

MESSAGES = (
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        account_sid TEXT NOT NULL,
        receiver TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX messages_by_receiver ON messages (queue, receiver, visible_at)",
)


class DataFileError(Exception):
    """The file cannot be used as a data file. The error message is one line for the person who chose the path."""


def open_data_file(path: str) -> sqlite3.Connection:
    """Open the data file for writing. Create or migrate the file if necessary. Raises DataFileError."""
    connection: sqlite3.Connection | None = None
    try:
        if path != MEMORY:
            # Only the owner may read the file, because the file holds tokens and messages. SQLite gives the
            # write-ahead log and its index file the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
        connection = connect(path)
        _prepare(connection, path)
    except BaseException as error:
        if connection:
            connection.close()
        if not isinstance(error, sqlite3.Error | OSError):
            raise
        if isinstance(error, sqlite3.Error) and error.sqlite_errorname == "SQLITE_NOTADB":
            raise _not_ours(path) from error
        raise DataFileError(
            f"{path} cannot be opened ({error}): check that its folder exists and that you may write to the file."
        ) from error
    return connection


def connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=OPEN_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
    )


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    # Check the format before the first write, so that a file of another program is not modified.
    if _format_of(connection, path) == 0:
        _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    # SQLite keeps statement journals in the temporary store. On disk, each statement would create a file.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    # Check the format again, because another process may have created or migrated the file in the meantime.
    found = _format_of(connection, path)
    if found == 0:
        for statement in _tables():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif found < DATA_FORMAT:
        # This process holds the write lock. Therefore no second process migrates the file at the same time, and the
        # backup cannot contain data that is already migrated.
        _back_up(path, found)
        _migrate(connection, found)
    # Write the version every time, so that a read-only file causes an error here and not at the first request.
    connection.execute(f"PRAGMA user_version = {DATA_FORMAT}")
    connection.execute("COMMIT")
    # From here on, SQLite does not wait for the write lock. The caller decides how to wait.
    connection.execute("PRAGMA busy_timeout = 0")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # This statement ignores the busy timeout. It fails at once while another process opens the same new file, so it is
    # retried here.
    deadline = time.monotonic() + OPEN_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _format_of(connection: sqlite3.Connection, path: str) -> int:
    """Return the data format, or 0 for an empty file. Raises DataFileError if this version cannot use the file."""
    application_id, version, in_use = connection.execute(
        "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application_id == APPLICATION_ID and not OLDEST_DATA_FORMAT <= version <= DATA_FORMAT:
        raise DataFileError(
            f"{path} was written by another version of Convoke (data format {version}, this version uses"
            f" {DATA_FORMAT}): run that version, or name another path to start with an empty file."
        )
    if application_id != APPLICATION_ID and (application_id or version or in_use):
        raise _not_ours(path)
    return int(version) if in_use else 0


def _not_ours(path: str) -> DataFileError:
    return DataFileError(f"{path} is not a data file of Convoke: name another path, or move that file away.")


def _back_up(path: str, version: int) -> None:
    """Copy the data file to `PATH.format-N` before the migration. An existing copy is not overwritten."""
    backup = Path(f"{path}.format-{version}")
    if backup.exists():
        return
    unfinished = Path(f"{backup}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
    # SQLite refuses to copy from a connection that is inside a write transaction.
    with closing(connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
    unfinished.rename(backup)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Change the tables from the format `version` to the current format, inside the caller's transaction."""
    if version == 4:
        connection.execute("ALTER TABLE messages RENAME TO messages_4")
        connection.execute("DROP INDEX IF EXISTS messages_visible")
        for statement in MESSAGES:
            connection.execute(statement)
        connection.create_function("receiver_in", 2, _receiver_in, deterministic=True)
        connection.execute(
            "INSERT INTO messages (id, queue, account_sid, receiver, body, visible_at, receive_count)"
            " SELECT id, queue, account_sid, receiver_in(account_sid, body), body, visible_at, receive_count"
            " FROM messages_4"
        )
        connection.execute("DROP TABLE messages_4")


def _receiver_in(account_sid: str, body: str) -> str:
    """Return the receiver of a delivery. Returns '' for an event, which has no URL, and for a malformed body."""
    try:
        return f"{account_sid} {receiver_of(json.loads(body)['url'])}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def _tables() -> list[str]:
    columns = ["pk TEXT NOT NULL", "sk TEXT NOT NULL"]
    for index in INDEXES:
        columns += [f"{name} TEXT" for name in index_columns(index)]
    columns.append(f"{EXPIRES_AT} INTEGER")
    statements = [f"CREATE TABLE items ({', '.join(columns)}, body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID"]
    for index in INDEXES:
        partition, sort = index_columns(index)
        statements.append(
            f"CREATE INDEX items_{index.name} ON items ({partition}, {sort}, pk, sk) WHERE {partition} IS NOT NULL"
        )
    statements.append(f"CREATE INDEX items_{EXPIRES_AT} ON items ({EXPIRES_AT}) WHERE {EXPIRES_AT} IS NOT NULL")
    # AUTOINCREMENT never reuses a sequence number. If a published record is removed twice, the second removal therefore
    # cannot remove a newer record.
    statements.append("CREATE TABLE stream (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    return [*statements, *MESSAGES]
