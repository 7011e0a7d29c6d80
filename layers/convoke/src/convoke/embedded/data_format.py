"""Create, open, migrate, check and copy the data file.

SQLite's pragma `user_version` contains the number of the data format. The pragma `application_id` identifies a data
file of Convoke. See https://www.sqlite.org/pragma.html.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from convoke.domain.circuit_breakers import LINE_SCHEME, receiver_key
from convoke.embedded.rows import index_columns
from convoke.storage.keys import INDEXES
from convoke.storage.table import EXPIRES_AT

APPLICATION_ID = 0x436F6E76
"""The ASCII codes of the text `Conv`. Tools such as `file` show this value."""

DATA_FORMAT = 9
"""The number of the current data format.

Increase the number in each of these cases:

- You change the tables below.
- You change `keys.INDEXES`, because the table `items` has two columns for each index.
- Earlier versions of Convoke cannot read the items that the new version writes.

Formats 7 and 8 have the same tables, but different items. A version of Convoke for format 7 cannot read all receipts
of format 8. Such a version would also lose data: an edit of a message would remove the media of the message.

Format 9 adds the column `waits` to the table `messages`, and replaces the index of this table.
"""

OLDEST_DATA_FORMAT = 4
"""The oldest data format that this version of Convoke can migrate."""

OPEN_TIMEOUT_SECONDS = 10
"""How long a process that opens the file waits while another process creates or migrates the file."""


class Synchronous(StrEnum):
    """The values of SQLite's pragma `synchronous`. See docs/operate.md#power-failures."""

    NORMAL = "normal"
    """A commit survives a crash of the process. After a power failure, the last commits may be lost."""
    FULL = "full"
    """A commit also survives a power failure, because SQLite calls fsync for each commit."""


MEMORY = ":memory:"
"""The path that stands for a database in memory. The database is deleted when the connection closes."""

OF_LINE = f"receiver GLOB '* {LINE_SCHEME}*'"
"""An SQL condition. It is true if the receiver of a queue message is a line: a pair of a business address and a phone.

The function `line_key` in domain/circuit_breakers.py makes the key of a line. SQLite uses the index `messages_of_lines`
only for a statement that contains exactly this condition.
"""

MESSAGE_INDEXES = (
    "CREATE INDEX messages_visible ON messages (queue, receiver, visible_at) WHERE waits = 0",
    "CREATE INDEX messages_waiting ON messages (queue, visible_at) WHERE waits = 1",
    f"CREATE INDEX messages_of_lines ON messages (queue, receiver) WHERE {OF_LINE}",
)

MESSAGES = (
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        account_sid TEXT NOT NULL,
        receiver TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        waits INTEGER NOT NULL DEFAULT 1
    )""",
    *MESSAGE_INDEXES,
)


class DataFileError(Exception):
    """The file cannot be used as a data file. The error text is one line for the person who chose the path."""


def parse_synchronous(text: str) -> Synchronous:
    """Parse the setting CONVOKE_SYNCHRONOUS. Raise DataFileError if the value is invalid."""
    try:
        return Synchronous(text.lower())
    except ValueError as error:
        raise DataFileError(f"CONVOKE_SYNCHRONOUS must be {' or '.join(Synchronous)}") from error


def open_data_file(path: str, synchronous: Synchronous = Synchronous.NORMAL) -> sqlite3.Connection:
    """Open the data file for writing. Create or migrate the file if necessary.

    Raise DataFileError if the file cannot be used as a data file.
    """
    connection: sqlite3.Connection | None = None
    try:
        if path != MEMORY:
            # Only the owner may read the file, because the file contains Auth Tokens and messages. SQLite gives the
            # same file mode to the write-ahead log and to the log's index file.
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
        connection = connect(path)
        _prepare(connection, path, synchronous)
    except BaseException as error:
        if connection:
            connection.close()
        if not isinstance(error, sqlite3.Error | OSError):
            raise
        if isinstance(error, sqlite3.Error) and error.sqlite_errorname == "SQLITE_NOTADB":
            raise _not_ours(path) from error
        raise cannot_be_opened(path, error) from error
    return connection


def cannot_be_opened(path: str, error: Exception) -> DataFileError:
    return DataFileError(
        f"{path} cannot be opened ({error}): check that its folder exists and that you may write to the file."
    )


def find_damage(path: str) -> list[str]:
    """Run SQLite's integrity check. Return the problems that the check finds. An instance may use the file meanwhile.

    Raise DataFileError if the file is not a data file that this version of Convoke can open.
    """
    with closing(_connect_existing(path)) as connection:
        try:
            found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [] if found == ["ok"] else found


def back_up(path: str, backup: str) -> None:
    """Copy the data file to the new file `backup`. An instance that uses the data file is not blocked.

    Raise DataFileError if `backup` exists or cannot be written, or if `path` is not a data file that this version of
    Convoke can open.
    """
    if Path(backup).exists():
        raise DataFileError(f"{backup} exists already: name another path.")
    try:
        _connect_existing(path).close()
        _copy(path, Path(backup))
    except (sqlite3.Error, OSError) as error:
        raise DataFileError(f"{path} cannot be backed up to {backup} ({error}).") from error


def connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=OPEN_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
    )


def _connect_existing(path: str) -> sqlite3.Connection:
    """Open an existing data file. The file is neither created nor migrated.

    Raise DataFileError if the file is not a data file that this version of Convoke can open.
    """
    try:
        uri = f"{Path(path).absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=OPEN_TIMEOUT_SECONDS, isolation_level=None)
        try:
            _format_of(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        if error.sqlite_errorname == "SQLITE_NOTADB":
            raise _not_ours(path) from error
        raise cannot_be_opened(path, error) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: str, synchronous: Synchronous) -> None:
    # Check the format before the first write. Convoke must not modify a file of another program.
    if _format_of(connection, path) == 0:
        _switch_to_wal(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # SQLite writes statement journals to the temporary store. On disk, each statement journal would need a new file.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    # Check the format again. Another process may have created or migrated the file since the first check.
    found = _format_of(connection, path)
    if found == 0:
        for statement in _tables():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif found < DATA_FORMAT:
        # This process holds the write lock, so no other process can migrate the file now. The backup therefore contains
        # only data of the old format.
        _back_up_format(path, found)
        _migrate(connection, found)
    # Write the version at every start, so that a read-only file causes an error here and not at the first request.
    connection.execute(f"PRAGMA user_version = {DATA_FORMAT}")
    connection.execute("COMMIT")
    # From now on, SQLite does not wait for the write lock, because `SqliteTable` decides how to wait.
    connection.execute("PRAGMA busy_timeout = 0")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The PRAGMA statement below ignores the busy timeout. The statement fails immediately while another process opens
    # the same new file. Therefore this loop repeats the statement.
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
    """Return the number of the data format, or 0 for an empty file.

    Raise DataFileError if this version of Convoke cannot use the file.
    """
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


def _back_up_format(path: str, version: int) -> None:
    """Copy the data file to `PATH.format-N`, where N is `version`.

    If this copy already exists, keep the existing copy.
    """
    backup = Path(f"{path}.format-{version}")
    if not backup.exists():
        _copy(path, backup)


def _copy(path: str, backup: Path) -> None:
    """Copy a data file with SQLite's online backup. If the process crashes, `backup` is either complete or missing.

    The copy is one snapshot of the data file. Other connections may write meanwhile.
    """
    unfinished = Path(f"{backup}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
    # SQLite cannot copy from a connection with an open write transaction, so use a new connection as the source.
    with closing(connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
    unfinished.rename(backup)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate the tables from the format `version` to the current format, inside the caller's transaction."""
    if version < 5:
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
    # Files of format 5 and some files of format 6 do not have the column `failures`. All later files have the column.
    elif not connection.execute("SELECT 1 FROM pragma_table_info('messages') WHERE name = 'failures'").fetchone():
        connection.execute("ALTER TABLE messages ADD COLUMN failures INTEGER NOT NULL DEFAULT 0")
    if version >= 5:
        # The default `waits = 1` marks every old queue message as invisible. `DurableQueue.make_due_visible` later
        # changes the column to 0 for the messages that are visible.
        connection.execute("ALTER TABLE messages ADD COLUMN waits INTEGER NOT NULL DEFAULT 1")
        connection.execute("DROP INDEX messages_by_receiver")
        for statement in MESSAGE_INDEXES:
            connection.execute(statement)
    if version < 6:
        # Before format 6, the index `memberships` ordered the participants by their own sort key. Now the partition key
        # of the conversation determines the order.
        connection.execute("UPDATE items SET memberships_sort = pk WHERE memberships_partition IS NOT NULL")


def _receiver_in(account_sid: str, body: str) -> str:
    """Return the receiver of the delivery in the body of a queue message.

    Return '' for an event, because an event has no URL. Also return '' for a malformed body.
    """
    try:
        return receiver_key(account_sid, json.loads(body)["url"])
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
    # With AUTOINCREMENT, SQLite never reuses a sequence number. If a published record is deleted twice, the second
    # DELETE cannot delete a newer record.
    statements.append("CREATE TABLE stream (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    return [*statements, *MESSAGES]
