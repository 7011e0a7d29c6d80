"""The writes in one tick of the event loop form one unit of work (embedded/sqlite.py, embedded/unit.py).

A unit that reaches the maximum number of rows is committed before its tick ends.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from convoke.domain.errors import UnavailableError
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.suspension import RunAgainError
from convoke.embedded.unit import MAX_ROWS
from convoke.storage.keys import is_streamed
from convoke.storage.table import (
    Add,
    ConditionFailedError,
    Delete,
    Equals,
    Item,
    Key,
    NotExists,
    Put,
    Set,
    TransactionCanceledError,
    Update,
)
from tests.support.busy import make_busy, roll_back_during_select

KEY = Key("AC1#CH1", "conversation")


def item(sort: str, **attributes: int) -> Item:
    return {"pk": "AC1#CH1", "sk": sort, **attributes}


def change(number: int) -> Item:
    return {"pk": f"AC1#IM{number}", "sk": "change", "sid": f"IM{number}"}


class Log(list[str]):
    """A list with an entry for each callback that a table has called. The oldest call comes first.

    The entry of the callback `on_changes` contains the SIDs of the changes. For another callback, the test chooses the
    text of the entry.
    """

    def entry(self, name: str) -> Callable[..., None]:
        return lambda *_: self.append(name)

    def changes(self, items: Sequence[Item]) -> None:
        self.append(" ".join(str(each["sid"]) for each in items))


class Machine:
    """A table in a data file, and a second connection to the same file.

    The second connection, `other`, sees only committed data. The function `run` attaches the table to an event loop.
    """

    def __init__(self, path: Path, lock_timeout: float = 5.0) -> None:
        self.log = Log()
        self.table = SqliteTable(
            str(path),
            streamed=is_streamed,
            on_stream=self.log.entry("stream"),
            on_changes=self.log.changes,
            on_failure=self.log.entry("failure"),
            lock_timeout=lock_timeout,
        )
        self.other = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        self.statements: list[str] = []
        self.table._connection.set_trace_callback(self.statements.append)

    def commits(self) -> int:
        return self.statements.count("COMMIT")

    def stored(self) -> list[str]:
        return [sort for (sort,) in self.other.execute("SELECT sk FROM items ORDER BY pk, sk")]

    @contextmanager
    def write_lock_elsewhere(self) -> Iterator[None]:
        self.other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.other.execute("COMMIT")

    def fail_commits(self) -> None:
        """Make commits fail until `heal` is called, as on a full disk."""
        self.table._connection.execute("PRAGMA query_only = 1")

    def heal(self) -> None:
        self.table._connection.execute("PRAGMA query_only = 0")


Scenario = Callable[[Machine], Awaitable[None]]


def run(path: Path, scenario: Scenario) -> None:
    async def attached() -> None:
        machine = Machine(path)
        machine.table.attach(asyncio.get_running_loop())
        with closing(machine.table), closing(machine.other):
            await scenario(machine)
            machine.table.detach()

    asyncio.run(asyncio.wait_for(attached(), 20))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "convoke.db"


# One commit for each tick


def test_all_transactions_of_a_tick_are_one_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        machine.table.transact([Put(item("b"))])
        machine.table.update(Update(KEY, (Set("n", 1),)))
        assert machine.stored() == []
        await asyncio.sleep(0)
        assert machine.stored() == ["a", "b", "conversation"]
        assert machine.commits() == 1
        machine.table.transact([Put(item("c"))])
        await asyncio.sleep(0)
        assert machine.commits() == 2

    run(path, scenario)


def test_tasks_of_one_tick_share_a_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        async def put(number: int) -> None:
            machine.table.transact([Put(item(str(number)))])
            committed = machine.table.committed()
            assert committed is not None
            await committed

        await asyncio.gather(*map(put, range(5)))
        assert (machine.commits(), machine.stored()) == (1, ["0", "1", "2", "3", "4"])

    run(path, scenario)


def test_tick_without_a_write_takes_no_lock(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        assert machine.table.get(KEY) is None
        assert machine.table.query("AC1#CH1", limit=1) == []
        assert machine.table.committed() is None
        await asyncio.sleep(0)
        assert not [statement for statement in machine.statements if statement.startswith(("BEGIN", "COMMIT"))]

    run(path, scenario)


def test_failed_condition_leaves_the_unit_as_it_was(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a", n=1))])
        with pytest.raises(TransactionCanceledError) as refused:
            machine.table.transact([Put(item("never")), Put(change(1)), Put(item("a", n=2), NotExists("pk"))])
        assert refused.value.failed == {2: item("a", n=1)}
        with pytest.raises(ConditionFailedError):
            machine.table.update(Update(Key("AC1#CH1", "a"), (Add("n", 1),), Equals("n", 7)))
        machine.table.transact([Put(item("b"))])
        await asyncio.sleep(0)
        assert machine.stored() == ["a", "b"]
        assert machine.table.get(Key("AC1#CH1", "a")) == item("a", n=1)
        assert machine.log == []

    run(path, scenario)


def test_reads_see_the_writes_of_their_unit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a", n=1)), Put(item("b", n=1)), Put(item("c"))])
        await asyncio.sleep(0)
        machine.table.transact([Put(item("a", n=2)), Delete(Key("AC1#CH1", "b"))])
        machine.table.update(Update(Key("AC1#CH1", "a"), (Add("n", 1),)))
        assert machine.table.get(Key("AC1#CH1", "a")) == item("a", n=3)
        assert machine.table.get(Key("AC1#CH1", "b")) is None
        keys = [Key("AC1#CH1", sort) for sort in "abc"]
        assert machine.table.get_many(keys) == {keys[0]: item("a", n=3), keys[2]: item("c")}
        assert machine.commits() == 1

    run(path, scenario)


def test_clear_also_removes_the_rows_that_the_unit_has_not_yet_written(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a")), Put(item("b"))])
        machine.table.clear()
        assert machine.table.get(Key("AC1#CH1", "a")) is None
        machine.table.transact([Put(item("b", n=2))])
        await asyncio.sleep(0)
        assert (machine.commits(), machine.stored()) == (1, ["b"])

    run(path, scenario)


def test_range_query_sees_pending_rows_and_is_still_one_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a")), Put(item("c"))])
        assert machine.table.query("AC1#CH1", limit=9) == [item("a"), item("c")]
        machine.table.transact([Put(item("b")), Delete(Key("AC1#CH1", "c"))])
        assert machine.table.query("AC1#CH1", limit=9) == [item("a"), item("b")]
        assert machine.table.rows("SELECT count(*) FROM items") == [(2,)]
        assert machine.stored() == []
        await asyncio.sleep(0)
        assert (machine.commits(), machine.stored()) == (1, ["a", "b"])

    run(path, scenario)


def test_condition_is_evaluated_on_what_is_read_under_the_write_lock(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        assert machine.table.get(Key("AC1#CH1", "a")) is None
        machine.other.execute(
            'INSERT INTO items (pk, sk, body) VALUES (\'AC1#CH1\', \'a\', \'{"pk":"AC1#CH1","sk":"a"}\')'
        )
        with pytest.raises(TransactionCanceledError):
            machine.table.transact([Put(item("a"), NotExists("pk"))])

    run(path, scenario)


def test_unit_block_on_the_loop_is_part_of_the_tick(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        with machine.table.unit():
            machine.table.transact([Put(item("a"))])
        assert machine.stored() == []
        await asyncio.sleep(0)
        assert machine.stored() == ["a"]

    run(path, scenario)


# The maximum number of rows in a unit


def rows(prefix: str, count: int) -> list[list[Put]]:
    puts = [Put(item(f"{prefix}{number}")) for number in range(count)]
    return [puts[first : first + 100] for first in range(0, count, 100)]


def test_full_unit_is_committed_before_its_tick_ends(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        for some in rows("a", MAX_ROWS):
            machine.table.transact(some)
        assert machine.commits() == 0, "an operation is never cut in two"
        committed = machine.table.committed()
        assert committed is not None
        assert committed.done()
        assert len(machine.stored()) == MAX_ROWS
        machine.table.transact([Put(item("b"))])
        await asyncio.sleep(0)
        assert (machine.commits(), len(machine.stored())) == (2, MAX_ROWS + 1)

    run(path, scenario)


def test_unit_that_is_not_full_waits_for_its_tick(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        for some in rows("a", MAX_ROWS - 1):
            machine.table.transact(some)
        committed = machine.table.committed()
        assert committed is not None
        assert not committed.done()
        assert machine.commits() == 0

    run(path, scenario)


def test_answer_to_a_full_unit_that_cannot_be_committed_fails(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        for some in rows("a", MAX_ROWS):
            machine.table.transact(some)
        machine.fail_commits()
        committed = machine.table.committed()
        assert committed is not None
        with pytest.raises(UnavailableError):
            await committed

    run(path, scenario)


# Waiting for the commit


def test_committed_resolves_after_the_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        committed = machine.table.committed()
        assert committed is not None
        assert not committed.done()
        await committed
        assert machine.stored() == ["a"]
        assert machine.table.committed() is None

    run(path, scenario)


def test_refusal_waits_for_the_commit_of_the_conflicting_item(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        with pytest.raises(TransactionCanceledError):
            machine.table.transact([Put(item("a"), NotExists("pk"))])
        assert machine.table.committed() is not None

    run(path, scenario)


def test_failed_commit_drops_the_unit_and_fails_everything_that_waits(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a")), Put(change(1))])
        waiting = [machine.table.committed(), machine.table.committed()]
        machine.table.after_commit(machine.log.entry("committed"))
        machine.table.on_failure(machine.log.entry("dropped"))
        machine.fail_commits()
        for committed in waiting:
            assert committed is not None
            with pytest.raises(UnavailableError):
                await committed
        machine.heal()
        assert machine.log == ["dropped", "failure"]
        assert machine.table.get(Key("AC1#CH1", "a")) is None
        assert machine.stored() == []
        machine.table.transact([Put(item("b"))])
        await asyncio.sleep(0)
        assert machine.stored() == ["b"]

    run(path, scenario)
    assert [record.message for record in caplog.records if "data file cannot be used" in record.message]


def test_cancelled_waiter_does_not_disturb_the_others(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        gone, waiting = machine.table.committed(), machine.table.committed()
        assert gone
        assert waiting
        gone.cancel()
        await waiting

    run(path, scenario)


def test_callbacks_follow_the_commit_in_a_fixed_order(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.after_commit(machine.log.entry("at once"))
        machine.table.on_failure(machine.log.entry("never"))
        machine.table.transact([Put(change(1))])
        machine.table.after_commit(machine.log.entry("first"))
        machine.table.transact([Put({**change(2), "published_by_maker": True})])
        machine.table.after_commit(lambda: machine.log.append(f"stored {len(machine.stored())}"))
        machine.table.on_failure(machine.log.entry("never"))
        assert machine.log == ["at once"]
        await asyncio.sleep(0)
        assert machine.log == ["at once", "IM1 IM2", "first", "stored 2", "stream"]
        assert [sequence for sequence, _ in machine.table.stream_records(9)] == [1]

    run(path, scenario)


def test_failing_callback_does_not_keep_others_waiting(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError

    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(change(1))])
        machine.table.after_commit(fail)
        committed = machine.table.committed()
        assert committed
        await committed
        assert machine.log == ["IM1", "stream"]

    run(path, scenario)
    assert "what follows a commit failed" in caplog.text


def test_callback_may_write_in_a_new_unit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        machine.table.after_commit(lambda: machine.table.transact([Put(item("b"))]))
        await asyncio.sleep(0)
        assert machine.stored() == ["a"]
        await asyncio.sleep(0)
        assert machine.stored() == ["a", "b"]

    run(path, scenario)


# The write lock of another process


def test_write_under_a_lock_of_another_connection_asks_to_run_again(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        with machine.write_lock_elsewhere():
            begun = time.monotonic()
            with pytest.raises(RunAgainError):
                machine.table.transact([Put(item("a"))])
            with pytest.raises(RunAgainError):
                machine.table.begin()
            assert time.monotonic() - begun < 0.5, "SQLite does not wait"
            assert machine.table.get(KEY) is None
            assert machine.table.query("AC1#CH1", limit=1) == []
            assert machine.table.committed() is None
            machine.other.execute(
                'INSERT INTO items (pk, sk, body) VALUES (\'AC1#CH1\', \'a\', \'{"pk":"AC1#CH1","sk":"a","n":1}\')'
            )
        with pytest.raises(TransactionCanceledError):
            machine.table.transact([Put(item("a"), NotExists("pk"))])
        assert machine.table.update(Update(Key("AC1#CH1", "a"), (Add("n", 1),)))["n"] == 2

    run(path, scenario)


def test_thread_without_a_loop_waits_for_the_lock_of_another_connection(path: Path) -> None:
    machine = Machine(path)
    with closing(machine.table), closing(machine.other):
        machine.other.execute("BEGIN IMMEDIATE")
        unlock = threading.Timer(0.1, machine.other.execute, ["COMMIT"])
        unlock.start()
        machine.table.transact([Put(item("a"))])
        assert machine.stored() == ["a"]
        unlock.join()


def test_thread_gives_up_on_a_lock_that_is_held_too_long(path: Path) -> None:
    machine = Machine(path, lock_timeout=0.05)
    with closing(machine.table), closing(machine.other), machine.write_lock_elsewhere():
        with pytest.raises(UnavailableError):
            machine.table.transact([Put(item("a"))])
        with pytest.raises(UnavailableError), machine.table.unit():
            machine.table.write("DELETE FROM messages")


def test_rollback_by_sqlite_during_a_select_drops_the_whole_unit(path: Path) -> None:
    """SQLite rolls back the whole transaction after some I/O errors in a SELECT."""

    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        committed = machine.table.committed()
        with pytest.raises(UnavailableError):
            roll_back_during_select(machine.table)
        assert committed
        with pytest.raises(UnavailableError):
            await committed
        machine.table.transact([Put(item("b"))])
        await asyncio.sleep(0)
        assert (machine.stored(), machine.log) == (["b"], ["failure"])

    run(path, scenario)


def test_failed_select_without_a_rollback_fails_its_caller_alone(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        with pytest.raises(UnavailableError):
            machine.table.rows("SELECT 1 FROM unreadable")
        await asyncio.sleep(0)
        assert (machine.stored(), machine.log) == (["a"], [])

    run(path, scenario)


# A read while SQLite is busy


@pytest.mark.parametrize("name", ["SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY"])
def test_read_on_the_event_loop_asks_to_run_again_while_sqlite_is_busy(path: Path, name: str) -> None:
    async def scenario(machine: Machine) -> None:
        busy = make_busy(machine.table, name)
        for read in (lambda: machine.table.get(KEY), lambda: machine.table.query("AC1#CH1", limit=1)):
            busy.failures = 1
            with pytest.raises(RunAgainError):
                read()
            assert not read()
        busy.failures = 3
        assert await asyncio.to_thread(machine.table.get, KEY) is None
        assert busy.failures == 0

    run(path, scenario)


def test_read_without_an_event_loop_waits_while_sqlite_is_busy(path: Path) -> None:
    machine = Machine(path, lock_timeout=0.05)
    with closing(machine.table), closing(machine.other):
        busy = make_busy(machine.table)
        busy.failures = 3
        assert machine.table.get(KEY) is None
        busy.failures = 1_000_000
        with pytest.raises(UnavailableError):
            machine.table.get(KEY)


# Threads


def test_other_threads_wait_for_the_commit_on_the_loops_thread(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        loop_thread = threading.get_ident()

        def work() -> None:
            machine.table.transact([Put(item("a"))])
            assert machine.stored() == ["a"]
            assert machine.table.get(Key("AC1#CH1", "a")) == item("a")
            assert machine.table.query("AC1#CH1", limit=9) == [item("a")]
            assert machine.table.run(threading.get_ident) == loop_thread
            with pytest.raises(TransactionCanceledError):
                machine.table.transact([Put(item("a"), NotExists("pk"))])

        await asyncio.to_thread(work)

    run(path, scenario)


def test_thread_that_runs_several_writes_gets_one_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        def both() -> str:
            machine.table.transact([Put(item("a"))])
            machine.table.transact([Put(item("b"))])
            return "done"

        assert await asyncio.to_thread(machine.table.run, both) == "done"
        assert (machine.commits(), machine.stored()) == (1, ["a", "b"])

    run(path, scenario)


def test_reading_thread_waits_for_the_commit_of_the_unit_that_it_saw(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        reading = asyncio.get_running_loop().run_in_executor(None, machine.table.get, Key("AC1#CH1", "a"))
        # This sleep blocks the loop while the thread asks for the read. Then one tick runs the read and the write.
        time.sleep(0.05)
        machine.table.transact([Put(item("a"))])
        assert await reading == item("a")
        assert machine.stored() == ["a"]

    run(path, scenario)


def test_thread_gets_the_failure_of_the_commit(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        def write() -> None:
            machine.table.transact([Put(item("a"))])
            machine.fail_commits()

        with pytest.raises(UnavailableError):
            await asyncio.to_thread(machine.table.run, write)
        machine.heal()
        assert machine.stored() == []

    run(path, scenario)


def test_thread_runs_again_while_the_lock_is_held_elsewhere_and_the_loop_goes_on(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        with machine.write_lock_elsewhere():
            writing = asyncio.create_task(asyncio.to_thread(machine.table.transact, [Put(item("a"))]))
            await asyncio.sleep(0.05)
            assert not writing.done()
            assert machine.table.get(KEY) is None
        await writing
        assert machine.stored() == ["a"]

    run(path, scenario)


def test_threads_never_lose_conditional_updates(path: Path) -> None:
    threads, each = 8, 10

    async def scenario(machine: Machine) -> None:
        def count_up() -> None:
            done = 0
            while done < each:
                count = (machine.table.get(KEY) or {}).get("n", 0)
                condition = Equals("n", count) if count else NotExists("n")
                try:
                    machine.table.update(Update(KEY, (Add("n", 1),), condition))
                except ConditionFailedError:
                    continue
                done += 1

        await asyncio.gather(*(asyncio.to_thread(count_up) for _ in range(threads)))
        assert (machine.table.get(KEY) or {})["n"] == threads * each

    run(path, scenario)


def test_after_detach_the_calling_thread_commits_at_once(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        machine.table.detach()
        assert machine.stored() == ["a"]
        machine.table.transact([Put(item("b"))])
        assert machine.stored() == ["a", "b"]
        assert machine.table.committed() is None

    run(path, scenario)


def test_close_drops_what_is_not_committed(path: Path) -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([Put(item("a"))])
        committed = machine.table.committed()
        machine.table.close()
        assert committed
        with pytest.raises(UnavailableError):
            await committed
        assert machine.stored() == []

    run(path, scenario)


# In memory


def test_database_in_memory_keeps_the_same_rules() -> None:
    async def scenario() -> None:
        log = Log()
        table = SqliteTable(":memory:", streamed=is_streamed, on_changes=log.changes, on_failure=log.entry("failure"))
        table.attach(asyncio.get_running_loop())
        with closing(table):
            table.transact([Put(change(1)), Put(item("a"))])
            with pytest.raises(TransactionCanceledError):
                table.transact([Put(item("never")), Put(item("a"), NotExists("pk"))])
            committed = table.committed()
            assert committed
            assert log == []
            await committed
            assert log == ["IM1"]
            assert await asyncio.to_thread(table.query, "AC1#CH1", limit=9) == [item("a")]
            table.transact([Put(item("b"))])
            failing = table.committed()
            table._connection.execute("PRAGMA query_only = 1")
            assert failing
            with pytest.raises(UnavailableError):
                await failing
            assert log == ["IM1", "failure"]
            assert table.query("AC1#CH1", limit=9) == [item("a")]

    asyncio.run(asyncio.wait_for(scenario(), 10))
