"""The SQLite engine has a stream, a data file, units of work and expiry, which are not part of the Table port.

Several processes and threads can use one data file at the same time.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from convoke.domain.errors import UnavailableError
from convoke.embedded.sqlite import MAX_EXPIRED_PER_PASS, SqliteTable
from convoke.storage import keys
from convoke.storage.keys import DUE, is_streamed
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
    """A callback that counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: object = None) -> None:
        self.calls += 1


def trace(table: SqliteTable) -> list[str]:
    """Return a list that will collect the table's SQL statements."""
    statements: list[str] = []
    table._connection.set_trace_callback(statements.append)
    return statements


def plan_of(table: SqliteTable, statement: str) -> list[str]:
    return [detail for *_, detail in table.rows(f"EXPLAIN QUERY PLAN {statement}")]


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

    def read(records: int) -> None:
        seen.extend(item for _, item in table.stream_records(10))
        assert records == len(seen)

    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=read)) as table:
        table.transact([Put(change(1))])
        assert seen == [change(1)]


def test_stream_records_stay_until_forgotten(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path, streamed=is_streamed)) as table:
        table.transact([Put(change(number)) for number in range(5)])
        numbers = [number for number, _ in table.stream_records(10)]
        assert numbers == sorted(numbers)
        table.delete_stream_records(numbers[:3])
    with closing(SqliteTable(path, streamed=is_streamed)) as table:
        assert [item for _, item in table.stream_records(10)] == [change(3), change(4)]
        table.delete_stream_records(numbers[3:])
        # Delete the same numbers a second time, after a new record is stored. The new record must remain, because the
        # table must not reuse a number.
        table.transact([Put(change(9))])
        table.delete_stream_records(numbers[3:])
        assert [item for _, item in table.stream_records(10)] == [change(9)]


# The data file


def test_file_keeps_items_after_close(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path)) as table:
        table.transact([Put(COUNTER)])
    with closing(SqliteTable(path)) as table:
        assert table.get(KEY) == COUNTER


def test_items_and_stream_records_share_one_transaction() -> None:
    with closing(SqliteTable(":memory:", streamed=lambda item: True)) as table:
        statements = trace(table)
        table.transact([Put({"pk": "a", "sk": str(number)}) for number in range(3)])
        assert len(table.stream_records(10)) == 3
    bounds = [statement for statement in statements if statement.startswith(("BEGIN", "COMMIT"))]
    assert bounds == ["BEGIN IMMEDIATE", "COMMIT"]


def send(table: SqliteTable, body: str = "message") -> None:
    table.write("INSERT INTO messages (queue, account_sid, body, visible_at) VALUES ('test', 'AC1', ?, 0)", (body,))


def sent(table: SqliteTable) -> list[str]:
    return [body for (body,) in table.rows("SELECT body FROM messages ORDER BY id")]


def test_unit_commits_items_and_messages_at_once() -> None:
    on_stream = CallCounter()
    with closing(SqliteTable(":memory:", streamed=is_streamed, on_stream=on_stream)) as table:
        statements = trace(table)
        with table.unit():
            table.transact([Put(change(1))])
            with table.unit():
                send(table)
            table.update(Update(KEY, (Add("count", 1),)))
            assert on_stream.calls == 0
        assert [statement for statement in statements if statement.startswith(("BEGIN", "COMMIT"))] == [
            "BEGIN IMMEDIATE",
            "COMMIT",
        ]
        assert on_stream.calls == 1
        assert (sent(table), table.get(KEY)) == (["message"], {**KEY._asdict(), "count": 1})


def write_and_fail(table: SqliteTable) -> None:
    with table.unit():
        table.transact([Put({"pk": "a", "sk": "b"})])
        send(table)
        raise KeyError


def test_exception_drops_the_unit() -> None:
    failures = CallCounter()
    with closing(SqliteTable(":memory:", on_failure=failures)) as table:
        with pytest.raises(KeyError):
            write_and_fail(table)
        assert (table.query("a", limit=9), sent(table), failures.calls) == ([], [], 1)
        table.transact([Put({"pk": "a", "sk": "c"})])
        assert [item["sk"] for item in table.query("a", limit=9)] == ["c"]


def test_refused_transaction_does_not_keep_the_write_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path)) as table, closing(sqlite3.connect(path, timeout=0)) as other:
        with pytest.raises(TransactionCanceledError):
            table.transact([Put(COUNTER, Exists("pk"))])
        with pytest.raises(ValueError, match="added"):
            table.update(Update(KEY, (Add("count", "text"),)))  # type: ignore[arg-type]
        other.execute("BEGIN IMMEDIATE")


def test_interrupted_write_is_dropped(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path)) as table, closing(sqlite3.connect(path, timeout=0)) as other:

        def write_and_be_interrupted() -> None:
            table.begin()
            table._write("INSERT INTO items (pk, sk, body) VALUES ('a', 'b', '{}')", [()])
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            table.run(write_and_be_interrupted)
        assert table.rows("SELECT 1 FROM items") == []
        other.execute("BEGIN IMMEDIATE")


def write_and_fail_inside_a_unit(table: SqliteTable) -> None:
    with table.unit():
        table.transact([Put({"pk": "a", "sk": "outside"})])
        write_and_fail(table)


def test_exception_that_leaves_a_nested_unit_drops_the_outer_one() -> None:
    with closing(SqliteTable(":memory:")) as table:
        with pytest.raises(KeyError):
            write_and_fail_inside_a_unit(table)
        assert (table.query("a", limit=9), sent(table)) == ([], [])


def test_refused_transaction_leaves_the_unit_as_it_was() -> None:
    with closing(SqliteTable(":memory:")) as table:
        with table.unit():
            table.transact([Put({"pk": "a", "sk": "before"})])
            with pytest.raises(TransactionCanceledError):
                table.transact([Put({"pk": "a", "sk": "never"}), Put({"pk": "a", "sk": "before"}, NotExists("pk"))])
            with pytest.raises(ValueError, match="added"):
                table.transact([Put({"pk": "a", "sk": "never"}), Update(Key("a", "x"), (Set("n", "s"), Add("m", "t")))])  # type: ignore[arg-type]
            table.transact([Put({"pk": "a", "sk": "behind"})])
        assert [item["sk"] for item in table.query("a", limit=9)] == ["before", "behind"]


def put_and_write_half_a_message(table: SqliteTable) -> None:
    with table.unit():
        table.transact([Put(COUNTER)])
        table.write("INSERT INTO messages (queue) VALUES (?)", ("without an account",))


def test_failed_statement_drops_the_whole_unit(caplog: pytest.LogCaptureFixture) -> None:
    failures = CallCounter()
    with closing(SqliteTable(":memory:", on_failure=failures)) as table:
        with pytest.raises(UnavailableError):
            put_and_write_half_a_message(table)
        assert (table.get(KEY), failures.calls) == (None, 1)
        assert "the data file cannot be used: NOT NULL constraint failed" in caplog.text
        with pytest.raises(UnavailableError):
            table.rows("SELECT nothing FROM nowhere")
        assert len(caplog.records) == 1, "one line a minute"


def test_integer_out_of_range_is_refused() -> None:
    with closing(SqliteTable(":memory:")) as table, pytest.raises(TypeError):
        table.transact([Put({"pk": "a", "sk": "b", "number": 2**64})])


def test_every_statement_uses_an_index() -> None:
    with closing(SqliteTable(":memory:")) as table:
        statements = trace(table)
        item: Item = {**KEY._asdict(), **keys.due_attributes("CH1", datetime(2026, 1, 2, tzinfo=UTC))}
        for forward in (True, False):
            table.query("P", limit=1, between=("a", "b"), after=item, forward=forward)
            table.query("P", limit=1, index=DUE, between=("a", "b"), after=item, forward=forward)
            table.query("P", limit=1, index=DUE, between=("a", "b"), forward=forward)
        table.get(KEY)
        table.get_many([KEY, CHANGE])
        assert len(statements) == 8
        for statement in statements.copy():
            plan = plan_of(table, statement)
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


def test_removed_item_is_no_longer_known_to_its_unit() -> None:
    with closing(SqliteTable(":memory:")) as table:
        table.transact([expiring(1, expires_at=1)])
        with table.unit():
            table.update(Update(Key("AC1#2", "record"), (Set("a", 1),)))
            assert table.get(Key("AC1#1", "record"))
            table.remove_expired(datetime.fromtimestamp(100, UTC))
            assert table.get(Key("AC1#1", "record")) is None
            table.transact([expiring(1)])
        assert table.get(Key("AC1#1", "record")) == expiring(1).item


def test_expired_items_are_found_by_index_and_removed_in_batches() -> None:
    with closing(SqliteTable(":memory:")) as table:
        for first in range(0, MAX_EXPIRED_PER_PASS + 100, 100):
            table.transact([expiring(number, expires_at=1) for number in range(first, first + 100)])
        statements = trace(table)
        table.remove_expired(datetime.fromtimestamp(100, UTC))
        assert table.rows("SELECT count(*) FROM items") == [(100,)]
        (statement,) = [statement for statement in statements if statement.startswith("DELETE")]
        plan = plan_of(table, statement)
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
        # The writer prints each number after its commit. The kill can come between the commit and the print.
        assert last - (printed or [0])[-1] in (0, 1)
        parts = [len(table.query(f"transaction#{number}", limit=10)) for number in range(last + 2)]
        assert parts == [8] * (last + 1) + [0]
        assert [item["pk"] for _, item in table.stream_records(last + 2)] == [
            f"transaction#{number}" for number in range(last + 1)
        ]


def test_condition_sees_state_before_its_own_transaction() -> None:
    with closing(SqliteTable(":memory:")) as table:
        table.transact([Put(COUNTER)])
        # A condition sees the items as they were before the transaction.
        table.transact([Update(KEY, (Add("count", 5),)), Put({**CHANGE._asdict(), "a": 1}, NotExists("pk"))])
        table.transact([Update(KEY, (Add("count", 1),), LessThan("count", 6)), Delete(CHANGE, Equals("a", 1))])
        assert table.get(KEY) == {**COUNTER, "count": 6}
        assert table.get(CHANGE) is None
