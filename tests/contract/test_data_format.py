"""Convoke creates new data files and migrates old ones (embedded/data_format.py).

Convoke refuses files of other programs and data files with an unknown format.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from convoke.domain.circuit_breakers import line_key
from convoke.domain.instants import now
from convoke.domain.sids import Prefix, SidFactory
from convoke.embedded import data_format
from convoke.embedded.data_format import APPLICATION_ID, DATA_FORMAT, OLDEST_DATA_FORMAT, DataFileError
from convoke.embedded.queue import NO_RECEIVER, DeadLetterQueue, DurableQueue
from convoke.embedded.sqlite import SqliteTable
from convoke.storage import keys
from convoke.storage.keys import DUE, LISTED, MEMBERSHIPS, is_streamed
from convoke.storage.table import Item, Key, Put
from tests.support.events import a_delivery, an_event

KEY = Key("AC1#CH1", "conversation")
COUNTER: Item = {**KEY._asdict(), "count": 0}

# Creation and refusal


def test_empty_file_is_initialised(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    path.touch()
    with closing(SqliteTable(str(path))) as table:
        table.transact([Put(COUNTER)])
        assert table.get(KEY) == COUNTER


def test_file_has_application_id_and_data_format(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    SqliteTable(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (DATA_FORMAT,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_changed_indexes_require_new_data_format() -> None:
    assert (DATA_FORMAT, keys.INDEXES) == (9, (DUE, LISTED, MEMBERSHIPS))


def a_file_of_another_version(path: Path) -> None:
    SqliteTable(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {DATA_FORMAT + 1}")


def a_file_before_the_oldest_version(path: Path) -> None:
    SqliteTable(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {OLDEST_DATA_FORMAT - 1}")


def a_database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")


def a_marked_database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


def no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            a_file_of_another_version,
            rf"was written by another version .*\(data format {DATA_FORMAT + 1}, .*run that version",
        ),
        (
            a_file_before_the_oldest_version,
            r"was written by another version .*\(data format 3, .*run that",
        ),
        (a_database_of_another_program, "is not a data file of Convoke: name another path"),
        (a_marked_database_of_another_program, "is not a data file of Convoke: name another path"),
        (no_database, "is not a data file of Convoke: name another path"),
        (Path.mkdir, "cannot be opened .*: check that its folder exists"),
    ],
)
def test_file_of_another_program_or_version_is_refused_and_unchanged(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "convoke.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(DataFileError, match=f"convoke.db {message}") as failure:
        SqliteTable(str(path))
    assert "\n" not in str(failure.value)
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert os.listdir(tmp_path) == ["convoke.db"]


def test_file_in_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"missing/convoke.db cannot be opened .*: check that its folder exists"):
        SqliteTable(str(tmp_path / "missing" / "convoke.db"))


UNPRIVILEGED_UID = 65534
"""The ID of the user `nobody`.

If the tests run as root, `unprivileged` switches to this user, because file permissions do not restrict root.
"""


@contextmanager
def unprivileged() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(UNPRIVILEGED_UID)
    try:
        yield
    finally:
        os.seteuid(user)


def test_read_only_file_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "convoke.db"
        SqliteTable(str(path)).close()
        Path(folder).chmod(0o777)
        path.chmod(0o444)
        with unprivileged(), pytest.raises(DataFileError, match="you may write to the file"):
            SqliteTable(str(path))


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    SqliteTable(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Migration from format 4

FORMAT_4 = (
    """CREATE TABLE items (pk TEXT NOT NULL, sk TEXT NOT NULL, due_partition TEXT, due_sort TEXT,
        listed_partition TEXT, listed_sort TEXT, memberships_partition TEXT, memberships_sort TEXT,
        expires_at INTEGER, body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID""",
    "CREATE INDEX items_due ON items (due_partition, due_sort, pk, sk) WHERE due_partition IS NOT NULL",
    "CREATE INDEX items_listed ON items (listed_partition, listed_sort, pk, sk) WHERE listed_partition IS NOT NULL",
    """CREATE INDEX items_memberships ON items (memberships_partition, memberships_sort, pk, sk)
        WHERE memberships_partition IS NOT NULL""",
    "CREATE INDEX items_expires_at ON items (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE stream (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        account_sid TEXT NOT NULL,
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 4",
)
"""The SQL statements that create a data file of format 4."""

FORMAT_8 = (
    *FORMAT_4[:6],
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        account_sid TEXT NOT NULL,
        receiver TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX messages_by_receiver ON messages (queue, receiver, visible_at)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 8",
)
"""The SQL statements that create a data file of format 8.

The formats 5 to 7 have the same tables. However, the column `failures` is missing in format 5 and in a variant of
format 6.
"""

ACCOUNT = SidFactory()(Prefix.ACCOUNT)

EVENT = an_event(ACCOUNT)

DELIVERY = a_delivery(ACCOUNT, "https://Hooks.example.com/a?b")


def empty_file(path: Path, statements: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in statements:
        connection.execute(statement)
    return connection


def file_of_format_4(path: Path) -> None:
    """Create a data file of format 4 with an item, a stream record and queue messages.

    The message ids are not consecutive.
    """
    with closing(empty_file(path, FORMAT_4)) as connection:
        body = '{"pk":"AC1#CH1","sk":"conversation","count":0}'
        connection.execute("INSERT INTO items (pk, sk, body) VALUES ('AC1#CH1', 'conversation', ?)", (body,))
        connection.execute("INSERT INTO stream (body) VALUES (?)", (body,))
        connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            [
                (3, "delivery", ACCOUNT, DELIVERY.model_dump_json(), 100.0, 2),
                (7, "delivery", ACCOUNT, EVENT.model_dump_json(), 0.0, 0),
                (8, "delivery-dlq", ACCOUNT, DELIVERY.model_dump_json(), 50.0, 4),
                (9, "delivery-dlq", ACCOUNT, "unreadable", 50.0, 1),
                (10, "delivery-dlq", ACCOUNT, '{"url": "https://host:port/"}', 50.0, 1),
            ],
        )


def stored_messages(table: SqliteTable) -> list[tuple[object, ...]]:
    return table.rows("SELECT id, queue, account_sid, receiver, visible_at, receive_count FROM messages ORDER BY id")


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def backup_of(path: Path) -> Path:
    return Path(f"{path}.format-4")


def test_messages_of_format_4_keep_their_ids_and_counts_and_get_a_receiver(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    receiver = f"{ACCOUNT} https://hooks.example.com:443"
    with closing(SqliteTable(str(path), streamed=is_streamed)) as table:
        assert stored_messages(table) == [
            (3, "delivery", ACCOUNT, receiver, 100.0, 2),
            (7, "delivery", ACCOUNT, NO_RECEIVER, 0.0, 0),
            (8, "delivery-dlq", ACCOUNT, receiver, 50.0, 4),
            (9, "delivery-dlq", ACCOUNT, NO_RECEIVER, 50.0, 1),
            (10, "delivery-dlq", ACCOUNT, NO_RECEIVER, 50.0, 1),
        ]
        assert table.get(KEY) == COUNTER
        assert [item for _, item in table.stream_records(9)] == [COUNTER]
        queue = DurableQueue(table, "delivery", now)
        message = queue.receive(receiver)
        assert message
        assert (message.id, message.receive_count, message.body) == (3, 3, DELIVERY.model_dump_json())
        assert len(DeadLetterQueue(table, "delivery", now).bodies()) == 3
    assert format_of(path) == DATA_FORMAT


def as_in_format_8(connection: sqlite3.Connection) -> None:
    for index in ("messages_visible", "messages_waiting", "messages_of_lines"):
        connection.execute(f"DROP INDEX {index}")
    connection.execute("ALTER TABLE messages DROP COLUMN waits")
    connection.execute(FORMAT_8[7])


def file_of_format_5(path: Path) -> None:
    """Create a data file of format 5. A queue message of this format does not store its number of failures."""
    with closing(empty_file(path, FORMAT_8)) as connection:
        connection.execute("ALTER TABLE messages DROP COLUMN failures")
        row = (3, "delivery", ACCOUNT, "host", DELIVERY.model_dump_json(), 0.0, 2)
        connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("PRAGMA user_version = 5")


def test_messages_of_format_5_have_no_failures_yet(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_5(path)
    with closing(SqliteTable(str(path))) as table:
        message = DurableQueue(table, "delivery", now).receive("host")
        assert message
        assert (message.id, message.receive_count, message.failures) == (3, 3, 0)
    assert (format_of(path), format_of(Path(f"{path}.format-5"))) == (DATA_FORMAT, 5)


def test_memberships_of_format_5_get_into_the_order_of_their_conversations(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    participants: list[Item] = [
        {"pk": f"AC1#CH{number}", "sk": f"participant#MB{9 - number}", "member": "alice"} for number in range(3)
    ]
    with closing(SqliteTable(path)) as table:
        table.transact([*map(Put, participants), Put(COUNTER)])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Before format 6, the column `memberships_sort` contained the participant's sort key.
        connection.execute("UPDATE items SET memberships_sort = sk WHERE memberships_partition IS NOT NULL")
        as_in_format_8(connection)
        connection.execute("ALTER TABLE messages DROP COLUMN failures")
        connection.execute("PRAGMA user_version = 5")
    with closing(SqliteTable(path)) as table:
        assert [item["pk"] for item in table.query("alice", index=MEMBERSHIPS, limit=9)] == [
            item["pk"] for item in participants
        ]
        assert table.rows("SELECT count(*) FROM items WHERE memberships_sort IS NOT NULL") == [(3,)]


WITHOUT_FAILURES = "ALTER TABLE messages DROP COLUMN failures"


@pytest.mark.parametrize(("version", "column"), [(6, ""), (6, WITHOUT_FAILURES), (7, ""), (8, "")])
def test_both_kinds_of_format_6_and_formats_7_and_8_are_migrated(tmp_path: Path, version: int, column: str) -> None:
    """Format 6 has two variants: with and without the column `failures`.

    Migration must increase the format number. Then an older version of Convoke, which cannot read new items, refuses
    the file.
    """
    path = tmp_path / "convoke.db"
    with closing(empty_file(path, FORMAT_8)) as connection:
        connection.execute("INSERT INTO items (pk, sk, body) VALUES (?, ?, ?)", (*KEY, json.dumps(COUNTER)))
        connection.execute(column)
        connection.execute(f"PRAGMA user_version = {version}")
    with closing(SqliteTable(str(path))) as table:
        assert table.get(KEY) == COUNTER
        assert table.rows("SELECT count(*) FROM pragma_table_info('messages') WHERE name = 'failures'") == [(1,)]
    assert (format_of(path), format_of(Path(f"{path}.format-{version}"))) == (DATA_FORMAT, version)


def test_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    def schema(path: Path) -> list[tuple[str, str]]:
        SqliteTable(str(path)).close()
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return sorted((name, "".join(sql.split()).replace('"', "")) for name, sql in rows)

    file_of_format_4(tmp_path / "4.db")
    file_of_format_5(tmp_path / "5.db")
    empty_file(tmp_path / "8.db", FORMAT_8).close()
    for version in (4, 5, 8):
        assert schema(tmp_path / f"{version}.db") == schema(tmp_path / "new.db")


def test_messages_of_format_8_keep_their_times(tmp_path: Path) -> None:
    path, present = tmp_path / "convoke.db", now().timestamp()
    line = line_key(ACCOUNT, "+15017122661>+15558675310")
    with closing(empty_file(path, FORMAT_8)) as connection:
        connection.executemany(
            "INSERT INTO messages (queue, account_sid, receiver, body, visible_at) VALUES ('delivery', ?, ?, ?, ?)",
            [
                (ACCOUNT, "host", "sent", present - 10),
                (ACCOUNT, "other", "postponed", present + 600),
                (ACCOUNT, line, "postponed copy", present + 600),
                (ACCOUNT, line, "second copy", present - 10),
            ],
        )
    with closing(SqliteTable(str(path))) as table:
        queue = DurableQueue(table, "delivery", now)
        assert queue.receivers() == [line, "host"]
        assert not queue.is_first_visible(line)
        message = queue.receive("host")
        assert message
        assert (message.body, queue.receive("other")) == ("sent", None)


def test_backup_in_format_4_lies_beside_the_migrated_file(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    SqliteTable(str(path)).close()
    assert sorted(os.listdir(tmp_path)) == ["convoke.db", "convoke.db.format-4"]
    assert stat.S_IMODE(backup_of(path).stat().st_mode) == 0o600
    assert format_of(backup_of(path)) == 4
    with closing(sqlite3.connect(backup_of(path))) as connection:
        assert connection.execute("SELECT id, receive_count FROM messages ORDER BY id LIMIT 2").fetchall() == [
            (3, 2),
            (7, 0),
        ]


def test_file_is_migrated_once_only(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    with closing(SqliteTable(str(path))) as table:
        table.transact([Put({**COUNTER, "count": 1})])
    before = backup_of(path).stat().st_mtime_ns
    with closing(SqliteTable(str(path))) as table:
        assert table.get(KEY) == {**COUNTER, "count": 1}
        assert len(stored_messages(table)) == 5
    assert backup_of(path).stat().st_mtime_ns == before


DIE_BEFORE = """
import os, sys
from convoke.embedded import data_format

setattr(data_format, sys.argv[2], lambda *_: os._exit(9))
data_format.open_data_file(sys.argv[1])
"""


@pytest.mark.parametrize("step", ["_back_up_format", "_migrate"])
def test_crash_before_backup_or_migration_is_repeated_safely(tmp_path: Path, step: str) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    assert subprocess.run([sys.executable, "-c", DIE_BEFORE, str(path), step]).returncode == 9
    assert (format_of(path), backup_of(path).exists()) == (4, step == "_migrate")
    with closing(SqliteTable(str(path))) as table:
        assert len(stored_messages(table)) == 5
    assert (format_of(path), format_of(backup_of(path))) == (DATA_FORMAT, 4)


def test_crash_during_the_backup_leaves_an_unfinished_copy_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    unfinished = Path(f"{backup_of(path)}.unfinished")
    unfinished.write_text("half of a copy")
    SqliteTable(str(path)).close()
    assert (format_of(backup_of(path)), unfinished.exists()) == (4, False)


def test_crash_during_the_migration_rolls_it_back(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    with closing(data_format.connect(str(path))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        data_format._migrate(connection, 4)
    assert format_of(path) == 4
    with closing(SqliteTable(str(path))) as table:
        assert [message[0] for message in stored_messages(table)] == [3, 7, 8, 9, 10]


OPEN = "import sys; from convoke.embedded.sqlite import SqliteTable; SqliteTable(sys.argv[1]).close()"


def test_many_processes_may_open_a_file_of_format_4_at_once(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    file_of_format_4(path)
    openers = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)]) for _ in range(4)]
    assert [opener.wait() for opener in openers] == [0] * len(openers)
    assert (format_of(path), format_of(backup_of(path))) == (DATA_FORMAT, 4)
    with closing(SqliteTable(str(path))) as table:
        assert len(stored_messages(table)) == 5
