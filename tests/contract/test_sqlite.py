"""The SQLite engine beyond the Table port: stream, data file, and concurrent processes and threads."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from convoke.embedded.sqlite import APPLICATION_ID, MAX_EXPIRED_PER_PASS, SCHEMA_VERSION, DataFileError, SqliteTable
from convoke.storage import keys
from convoke.storage.keys import DUE, LISTED, MEMBERSHIPS, is_streamed
from convoke.storage.table import (
    Add,
    ConditionFailedError,
    Delete,
    Equals,
    Exists,
    Item,
    Key,
    LessThan,
    NotExists,
    Put,
    Set,
    TransactionCanceledError,
    Update,
    Value,
)

KEY = Key("AC1#CH1", "conversation")
CHANGE = Key("AC1#IM1", "change")
COUNTER: Item = {**KEY._asdict(), "count": 0}


def change(number: int, **attributes: bool) -> Item:
    return {"pk": f"AC1#IM{number}", "sk": "change", "tags": {"a", "b"}, **attributes}


class CallCounter:
    """A callback that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


# The stream


def test_stream_has_each_new_item_that_matches() -> None:
    on_stream = CallCounter()
    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=on_stream)) as table:
        table.transact([Put(COUNTER), Put(change(1)), Put(change(2), NotExists("pk"))])
        assert on_stream.calls == 1
        table.transact([Put(change(3)), Put(change(4, published_by_maker=True))])
        assert on_stream.calls == 2
        table.transact([Put(COUNTER, Exists("pk"))])
        assert on_stream.calls == 2
        assert [item for _, item in table.stream_records(10)] == [change(1), change(2), change(3)]
        assert [item for _, item in table.stream_records(2)] == [change(1), change(2)]


def test_stream_has_item_created_by_update() -> None:
    on_stream = CallCounter()
    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=on_stream)) as table:
        made = table.update(Update(CHANGE, (Set("a", 1),)))
        table.update(Update(CHANGE, (Set("a", 2),)))
        assert [item for _, item in table.stream_records(10)] == [made]
        assert on_stream.calls == 1


def test_stream_has_no_item_that_existed_before() -> None:
    on_stream = CallCounter()
    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=on_stream)) as table:
        table.transact([Put(change(1))])
        table.transact([Put(change(1))])
        table.transact([Update(CHANGE, (Set("a", 1),))])
        table.transact([Delete(CHANGE)])
        assert [item for _, item in table.stream_records(10)] == [change(1)]
        assert on_stream.calls == 1


def test_rolled_back_transaction_leaves_nothing_in_stream() -> None:
    on_stream = CallCounter()
    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=on_stream)) as table:
        with pytest.raises(TransactionCanceledError):
            table.transact([Put(change(1)), Put(COUNTER, Exists("pk"))])
        table.transact([Put({**COUNTER, "count": "text"})])
        with pytest.raises(ValueError, match="added"):
            table.transact([Put(change(1)), Update(KEY, (Add("count", 1),))])
        assert table.stream_records(10) == []
        assert on_stream.calls == 0


def test_stream_callback_can_read_the_new_record() -> None:
    seen: list[Item] = []

    def read() -> None:
        seen.extend(item for _, item in table.stream_records(10))

    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=read)) as table:
        table.transact([Put(change(1))])
        assert seen == [change(1)]


def test_stream_records_stay_until_forgotten(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path, streamed=is_streamed)) as table:
        table.transact([Put(change(number)) for number in range(5)])
        numbers = [number for number, _ in table.stream_records(10)]
        assert numbers == sorted(numbers)
        table.delete_stream_records(numbers[2])
    with closing(SqliteTable(path, streamed=is_streamed)) as table:
        assert [item for _, item in table.stream_records(10)] == [change(3), change(4)]
        table.delete_stream_records(numbers[-1])
        # Deleting up to the same number again must not remove later records.
        table.transact([Put(change(9))])
        table.delete_stream_records(numbers[-1])
        assert [item for _, item in table.stream_records(10)] == [change(9)]


# The data file


def test_file_keeps_items_after_close(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path)) as table:
        table.transact([Put(COUNTER)])
    with closing(SqliteTable(path)) as table:
        assert table.get(KEY) == COUNTER


def test_empty_file_is_initialised(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    path.touch()
    with closing(SqliteTable(str(path))) as table:
        table.transact([Put(COUNTER)])
        assert table.get(KEY) == COUNTER


def test_file_has_application_id_and_schema_version(tmp_path: Path) -> None:
    path = tmp_path / "convoke.db"
    SqliteTable(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_changed_indexes_require_new_schema_version() -> None:
    assert (SCHEMA_VERSION, keys.INDEXES) == (4, (DUE, LISTED, MEMBERSHIPS))


def a_file_of_another_version(path: Path) -> None:
    SqliteTable(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


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
        (a_file_of_another_version, r"was written by another version of Convoke \(data format 5, .*run that version"),
        (a_database_of_another_program, "is not a Convoke data file: choose another path"),
        (a_marked_database_of_another_program, "is not a Convoke data file: choose another path"),
        (no_database, "is not a Convoke data file: choose another path"),
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
"""The user ID of `nobody`. Tests that run as root switch to this user, because root may write to every file."""


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
        with unprivileged(), pytest.raises(DataFileError, match="is writable"):
            SqliteTable(str(path))


def test_another_module_may_keep_tables_in_the_same_file(tmp_path: Path) -> None:
    path, schema = str(tmp_path / "convoke.db"), ["CREATE TABLE IF NOT EXISTS queue (body TEXT)"]
    SqliteTable(path).close()
    for _ in range(2):
        with closing(SqliteTable(path, schema=schema)) as table, table.transaction() as connection:
            connection.execute("INSERT INTO queue VALUES ('message')")
    with closing(SqliteTable(path, schema=schema)) as table, table.transaction() as connection:
        assert connection.execute("SELECT body FROM queue").fetchall() == [("message",), ("message",)]


def test_items_and_stream_records_share_one_transaction() -> None:
    statements: list[str] = []
    with closing(SqliteTable(":memory:", streamed=lambda item: True)) as table:
        with table.transaction() as connection:
            connection.set_trace_callback(statements.append)
        statements.clear()
        table.transact([Put({"pk": "a", "sk": str(number)}) for number in range(3)])
        assert len(table.stream_records(10)) == 3
    bounds = [statement for statement in statements if statement.startswith(("BEGIN", "COMMIT"))]
    assert bounds == ["BEGIN IMMEDIATE", "COMMIT"]


def enqueue_and_fail(table: SqliteTable) -> None:
    with table.transaction() as connection:
        connection.execute("INSERT INTO queue VALUES ('message')")
        raise KeyError


def test_exception_rolls_back_transaction() -> None:
    with closing(SqliteTable(":memory:", schema=["CREATE TABLE queue (body TEXT)"])) as table:
        with pytest.raises(KeyError):
            enqueue_and_fail(table)
        with table.transaction() as connection:
            assert connection.execute("SELECT count(*) FROM queue").fetchone() == (0,)


def test_nested_failure_rolls_back_only_the_nested_transaction() -> None:
    with closing(SqliteTable(":memory:", schema=["CREATE TABLE queue (body TEXT)"])) as table:
        with table.transaction() as connection:
            table.transact([Put({"pk": "a", "sk": "before"})])
            with pytest.raises(TransactionCanceledError):
                table.transact([Put({"pk": "a", "sk": "never"}), Put({"pk": "a", "sk": "before"}, NotExists("pk"))])
            with pytest.raises(KeyError):
                enqueue_and_fail(table)
            table.transact([Put({"pk": "a", "sk": "behind"})])
        assert [item["sk"] for item in table.query("a", limit=9)] == ["before", "behind"]
        with table.transaction() as connection:
            assert connection.execute("SELECT count(*) FROM queue").fetchone() == (0,)


def put_and_fail(table: SqliteTable) -> None:
    with table.transaction():
        table.transact([Put({"pk": "a", "sk": "b"})])
        raise KeyError


def test_failed_outer_transaction_rolls_back_nested_writes() -> None:
    with closing(SqliteTable(":memory:")) as table:
        with pytest.raises(KeyError):
            put_and_fail(table)
        assert table.query("a", limit=9) == []
        table.transact([Put({"pk": "a", "sk": "c"})])
        assert [item["sk"] for item in table.query("a", limit=9)] == ["c"]


def test_integer_out_of_range_is_refused() -> None:
    with closing(SqliteTable(":memory:")) as table, pytest.raises(TypeError):
        table.transact([Put({"pk": "a", "sk": "b", "number": 2**64})])


def test_every_statement_uses_an_index() -> None:
    with closing(SqliteTable(":memory:")) as table, table.transaction() as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        item: Item = {**KEY._asdict(), **keys.due_attributes("CH1", datetime(2026, 1, 2, tzinfo=UTC))}
        for forward in (True, False):
            table.query("P", limit=1, between=("a", "b"), after=item, forward=forward)
            table.query("P", limit=1, index=DUE, between=("a", "b"), after=item, forward=forward)
            table.query("P", limit=1, index=DUE, between=("a", "b"), forward=forward)
        table.get(KEY)
        table.get_many([KEY, CHANGE])
        connection.set_trace_callback(None)
        assert len(statements) == 8
        for statement in statements:
            plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert any(step.startswith("SEARCH items USING") for step in plan)
            assert not any(step.startswith(("SCAN items", "USE TEMP B-TREE")) for step in plan)


def expiring(number: int, **attributes: Value) -> Put:
    return Put({"pk": f"AC1#{number}", "sk": "record", **attributes})


def test_expired_items_are_removed_and_others_kept() -> None:
    with closing(SqliteTable(":memory:")) as table:
        deep: Item = {"deep": {"expires_at": 1}, "text": '"expires_at"'}
        table.transact([expiring(1, expires_at=99), expiring(2, expires_at=100), expiring(3, **deep)])
        table.remove_expired(datetime.fromtimestamp(100, UTC))
        assert [table.get(Key(f"AC1#{number}", "record")) is None for number in (1, 2, 3)] == [True, False, False]
        table.transact([expiring(2, expires_at=200)])
        table.remove_expired(datetime.fromtimestamp(101, UTC))
        assert table.get(Key("AC1#2", "record")) is not None


def test_expired_items_are_found_by_index_and_removed_in_batches() -> None:
    with closing(SqliteTable(":memory:")) as table:
        for first in range(0, MAX_EXPIRED_PER_PASS + 100, 100):
            table.transact([expiring(number, expires_at=1) for number in range(first, first + 100)])
        with table.transaction() as connection:
            statements: list[str] = []
            connection.set_trace_callback(statements.append)
        table.remove_expired(datetime.fromtimestamp(100, UTC))
        with table.transaction() as connection:
            connection.set_trace_callback(None)
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (100,)
            (statement,) = [statement for statement in statements if statement.startswith("DELETE")]
            plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert any("INDEX items_expires_at" in step for step in plan)
        assert not any(step.startswith("SCAN items") for step in plan)


# Concurrent processes and threads


def test_two_processes_on_one_file_see_each_others_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path)) as one, closing(SqliteTable(path)) as other:
        one.transact([Put(COUNTER)])
        assert other.get(KEY) == COUNTER
        other.update(Update(KEY, (Add("count", 1),), Equals("count", 0)))
        with pytest.raises(ConditionFailedError) as failure:
            one.update(Update(KEY, (Add("count", 1),), Equals("count", 0)))
        assert failure.value.item == {**COUNTER, "count": 1}


def test_concurrent_conditional_updates_are_never_lost(tmp_path: Path) -> None:
    threads, each = 16, 25
    path = str(tmp_path / "convoke.db")

    def count_up(table: SqliteTable) -> None:
        done = 0
        while done < each:
            count = (table.get(KEY) or COUNTER)["count"]
            try:
                table.update(Update(KEY, (Add("count", 1),), Equals("count", count)))
            except ConditionFailedError:
                continue
            done += 1

    with closing(SqliteTable(path)) as one, closing(SqliteTable(path)) as other, ThreadPoolExecutor(threads) as pool:
        one.transact([Put(COUNTER)])
        list(pool.map(count_up, [one, other] * (threads // 2)))
        assert one.get(KEY) == {**COUNTER, "count": threads * each}


def test_concurrent_claims_of_one_key_succeed_once(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")

    def claim(table: SqliteTable, number: int) -> bool:
        try:
            table.transact([Put({**CHANGE._asdict(), "by": number}, NotExists("pk")), Put(change(100 + number))])
        except TransactionCanceledError:
            return False
        return True

    with closing(SqliteTable(path, streamed=is_streamed)) as one, closing(SqliteTable(path)) as other:
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(claim, [one, other] * 16, range(32)))
        assert won.count(True) == 1
        (winner,) = (number for number, has_won in enumerate(won) if has_won)
        assert (one.get(CHANGE) or {})["by"] == winner
        assert [number for number in range(32) if one.get(Key(f"AC1#IM{100 + number}", "change"))] == [winner]


OPEN = "import sys; from convoke.embedded.sqlite import SqliteTable; SqliteTable(sys.argv[1]).close()"


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    openers = [subprocess.Popen([sys.executable, "-c", OPEN, path]) for _ in range(6)]
    assert [opener.wait() for opener in openers] == [0] * len(openers)


WRITE_FOREVER = """
import sys
import tempfile
from itertools import count
from convoke.embedded.sqlite import SqliteTable
from convoke.storage.table import Key, Put, Set, Update

table = SqliteTable(sys.argv[1], streamed=lambda item: item["sk"] == "0")
for number in count():
    puts = [Put({"pk": f"transaction#{number}", "sk": str(part), "text": "x" * 2000}) for part in range(8)]
    table.transact([*puts, Update(Key("last", "last"), (Set("number", number),))])
    print(number, flush=True)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2])
def test_killed_process_leaves_whole_transactions_only(tmp_path: Path, seconds: float) -> None:
    path = str(tmp_path / "convoke.db")
    with subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        printed = [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    with closing(SqliteTable(path)) as table:
        last = (table.get(Key("last", "last")) or {})["number"]
        assert isinstance(last, int)
        # Every printed transaction is stored. At most one more is stored, because the kill can come before the print.
        assert last - (printed or [0])[-1] in (0, 1)
        parts = [len(table.query(f"transaction#{number}", limit=10)) for number in range(last + 2)]
        assert parts == [8] * (last + 1) + [0]
        assert [item["pk"] for _, item in table.stream_records(last + 2)] == [
            f"transaction#{number}" for number in range(last + 1)
        ]


def test_condition_sees_state_before_its_own_transaction() -> None:
    with closing(SqliteTable(":memory:")) as table:
        table.transact([Put(COUNTER)])
        # Each condition sees the state before the transaction, whatever the transaction writes.
        table.transact([Update(KEY, (Add("count", 5),)), Put({**CHANGE._asdict(), "a": 1}, NotExists("pk"))])
        table.transact([Update(KEY, (Add("count", 1),), LessThan("count", 6)), Delete(CHANGE, Equals("a", 1))])
        assert table.get(KEY) == {**COUNTER, "count": 6}
        assert table.get(CHANGE) is None
