"""The embedded engine runs background steps (embedded/steps.py)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convoke.domain import instants
from convoke.domain.events import Event, UnpublishedChange
from convoke.embedded import steps as module
from convoke.embedded.handover import Execution
from convoke.embedded.queue import DeadLetterQueue
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.steps import STREAM_BATCH_SIZE, StateMachine, Steps, Waiting
from convoke.embedded.suspension import RunAgainError
from convoke.embedded.unit import MAX_ROWS
from convoke.operations.conversation_finalizer import MustCloseError, NothingToFinalizeError
from convoke.storage.events import UnreadableChangeError
from convoke.storage.table import Item, Key, Put
from tests.support.events import an_event

INFINITY = float("inf")


# The queues in memory


def test_work_is_taken_in_order() -> None:
    waiting: Waiting[str] = Waiting()
    for work in "abc":
        waiting.append(work)
    assert [waiting.pop() for _ in range(len(waiting))] == ["a", "b", "c"]


def test_age_is_the_age_of_the_head_of_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    waiting: Waiting[str] = Waiting()
    assert waiting.age() == 0
    waiting.append("a")
    now[0] = 101.0
    waiting.append("b")
    now[0] = 103.0
    assert waiting.age() == 3
    waiting.pop()
    assert waiting.age() == 2
    waiting.pop()
    assert waiting.age() == 0


def test_canceled_work_is_not_done_and_may_be_canceled_late() -> None:
    waiting: Waiting[str] = Waiting()
    take_back = waiting.append("a")
    waiting.append("a")
    take_back()
    take_back()
    assert len(waiting) == 1
    late = waiting.append("b")
    assert [waiting.pop(), waiting.pop()] == ["a", "b"]
    late()


# The state machine


class FakeFinalizer:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.log: list[str] = []

    def finalize(self, *_: object) -> Event:
        self.log.append("finalize")
        if self._error:
            raise self._error
        return an_event()

    def close(self, *_: object) -> Event:
        self.log.append("close")
        return an_event()

    def settle(self, *_: object) -> None:
        self.log.append("settle")

    def publish(self, events: list[Event]) -> None:
        self.log.append(f"publish {len(events)}")


@pytest.mark.parametrize(
    ("error", "log"),
    [
        (None, ["finalize", "publish 1", "settle"]),
        (MustCloseError(()), ["finalize", "close", "publish 1", "settle"]),
        (NothingToFinalizeError(), ["finalize"]),
    ],
)
def test_state_machine_publishes_before_it_settles(error: Exception | None, log: list[str]) -> None:
    finalizer: Any = FakeFinalizer(error)
    StateMachine(finalizer, finalizer).execute(Execution("AC1", "CH1", ()))
    assert finalizer.log == log


# The steps


class FakeWork:
    """A fake for the participant adder, the state machine and the event bus. Each successful step writes one item."""

    def __init__(self, table: SqliteTable) -> None:
        self._table = table
        self.log: list[str] = []
        self.published: list[list[str]] = []
        self.failing: set[str] = set()
        self.on_step: Callable[[], None] = lambda: None

    def add(self, name: str) -> None:
        self._step(f"add {name}")

    def execute(self, name: str) -> None:
        self._step(f"execute {name}")

    def publish(self, events: list[Event]) -> None:
        self.published.append([event.id for event in events])
        self._table.transact([Put({"pk": "published", "sk": events[0].id})])

    def _step(self, name: str) -> None:
        if name in self.failing:
            raise KeyError(name)
        self._table.transact([Put({"pk": "step", "sk": name})])
        self.log.append(name)
        self.on_step()


class Machine:
    def __init__(self, path: str = ":memory:") -> None:
        self.table = SqliteTable(path, streamed=lambda item: item["sk"] == "change")
        self.work = FakeWork(self.table)
        work: Any = self.work
        self.participants: Waiting[Any] = Waiting()
        self.executions: Waiting[Any] = Waiting()
        self.dead_letters = DeadLetterQueue(self.table, "change", instants.now)
        self.steps = Steps(self.participants, self.executions, self.table, work, work, work, self.dead_letters)

    def run(self, until: float = INFINITY) -> None:
        with self.table.unit():
            self.steps.run(until)

    def stream(self, bodies: int, first: int = 0) -> None:
        for number in range(first, first + bodies):
            event = an_event("AC1", number).model_dump(mode="json")
            item: Item = {"pk": f"AC1#IM{number}", "sk": "change", "sid": f"IM{number}", "event": event}
            self.table.transact([Put(item)])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    def change_of(item: dict[str, Any]) -> Any:
        if not item["event"]:
            raise UnreadableChangeError(UnpublishedChange(account_sid="AC1", change_sid=item["sid"]))
        return SimpleNamespace(events=[Event.model_validate(item["event"])])

    monkeypatch.setattr(module, "change_of", change_of)
    machine = Machine()
    with closing(machine.table):
        yield machine


def test_executions_come_before_participants(machine: Machine) -> None:
    for name in "ab":
        machine.participants.append(name)
        machine.executions.append(name)
    machine.run()
    assert machine.work.log == ["execute a", "execute b", "add a", "add b"]
    assert not machine.steps.are_waiting


def test_slice_ends_at_its_time_after_at_least_one_step(machine: Machine) -> None:
    for name in "abc":
        machine.participants.append(name)
    machine.run(until=0)
    assert machine.work.log == ["add a"]
    assert machine.steps.are_waiting
    machine.run(until=time.monotonic() + 60)
    assert machine.work.log == ["add a", "add b", "add c"]


def test_age_counts_stream_records_until_they_are_published(machine: Machine) -> None:
    machine.steps.stream.grew(STREAM_BATCH_SIZE)
    machine.stream(STREAM_BATCH_SIZE)
    time.sleep(0.01)
    later = time.monotonic()
    machine.steps.stream.grew(1)
    machine.stream(1, first=STREAM_BATCH_SIZE)
    assert machine.steps.age() >= 0.01
    machine.run()
    assert machine.steps.age() <= time.monotonic() - later
    machine.run()
    assert machine.steps.age() == 0
    assert not machine.steps.are_waiting


def test_records_that_were_removed_by_others_have_no_age(machine: Machine) -> None:
    machine.steps.stream.grew(3)
    machine.run()
    assert machine.steps.age() == 0


def test_age_is_that_of_the_oldest_step_that_is_ready(machine: Machine) -> None:
    machine.participants.append("a")
    time.sleep(0.01)
    machine.executions.append("b")
    assert machine.steps.age() == pytest.approx(machine.participants.age(), abs=0.005)


def test_failed_step_is_logged_and_the_next_one_runs(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.work.failing = {"add a", "execute a"}
    for name in "ab":
        machine.participants.append(name)
        machine.executions.append(name)
    machine.run()
    assert machine.work.log == ["execute b", "add b"]
    assert len(caplog.records) == 2
    assert not machine.steps.are_waiting


def test_steps_that_a_step_hands_over_run_in_the_same_slice(machine: Machine) -> None:
    machine.participants.append("a")

    def hand_over() -> None:
        if machine.work.log == ["add a"]:
            machine.executions.append("b")

    machine.work.on_step = hand_over
    machine.run()
    assert machine.work.log == ["add a", "execute b"]


def test_run_without_an_event_loop_is_one_commit_and_ends_at_its_time(machine: Machine) -> None:
    for name in "abc":
        machine.participants.append(name)
    statements: list[str] = []
    machine.table._connection.set_trace_callback(statements.append)
    machine.steps.run_all(until=time.monotonic() - 1)
    assert machine.work.log == []
    machine.steps.run_all()
    assert machine.work.log == ["add a", "add b", "add c"]
    assert statements.count("COMMIT") == 1


# The stream


def test_stream_is_published_in_batches_and_removed_in_the_same_commit(machine: Machine) -> None:
    machine.stream(STREAM_BATCH_SIZE + 1)
    machine.run()
    assert machine.work.published == [[f"IM1-{number}" for number in range(STREAM_BATCH_SIZE)]]
    assert machine.steps.are_waiting
    assert len(machine.table.stream_records(99)) == 1
    machine.run()
    assert machine.work.published[1] == [f"IM1-{STREAM_BATCH_SIZE}"]
    assert not machine.steps.are_waiting
    machine.run()
    assert len(machine.work.published) == 2


def test_failed_publication_leaves_the_stream_as_it_was(machine: Machine) -> None:
    machine.stream(1)

    def fail(_: object) -> None:
        raise OSError("no bus")

    publish = machine.work.publish
    machine.work.publish = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="no bus"):
        machine.run()
    assert len(machine.table.stream_records(9)) == 1
    machine.steps.stream.may_have_records = True
    machine.work.publish = publish  # type: ignore[method-assign]
    machine.run()
    assert machine.work.published == [["IM1-0"]]


def test_unreadable_record_does_not_block_later_records(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.table.transact([Put({"pk": "AC1#IMx", "sk": "change", "sid": "IMx", "event": {}})])
    machine.stream(1)
    machine.run()
    assert machine.work.published == [["IM1-0"]]
    assert machine.table.stream_records(9) == []
    assert [record.__dict__["change_sid"] for record in caplog.records] == ["IMx"]


# The write lock of another process


def test_no_step_is_lost_while_another_process_holds_the_write_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    machine = Machine(path)
    with closing(machine.table), closing(sqlite3.connect(path, isolation_level=None)) as other:
        machine.table._owner = threading.get_ident()  # Pretend that this thread runs the event loop.
        machine.participants.append("a")
        machine.executions.append("b")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunAgainError):
            machine.steps.run(INFINITY)
        assert (len(machine.participants), len(machine.executions)) == (1, 1)
        other.execute("COMMIT")
        machine.run()
        assert machine.work.log == ["execute b", "add a"]


def test_run_without_an_event_loop_waits_for_the_write_lock_of_another_process(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    machine = Machine(path)
    with (
        closing(machine.table),
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        machine.participants.append("a")
        other.execute("BEGIN IMMEDIATE")
        unlock = threading.Timer(0.05, other.execute, ["COMMIT"])
        unlock.start()
        machine.steps.run_all()
        unlock.join()
        assert machine.table.get(Key("step", "add a"))


def test_step_that_fills_the_unit_loses_nothing_if_the_lock_is_taken_before_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    machine = Machine(path)
    with closing(machine.table), closing(sqlite3.connect(path, isolation_level=None)) as other:

        def lose_the_lock() -> None:
            other.execute("BEGIN IMMEDIATE")

        def fill_and_lose_the_lock() -> None:
            machine.work.on_step = lambda: None
            assert machine.table._unit
            machine.table._unit.rows = MAX_ROWS
            machine.table.after_commit(lose_the_lock)

        machine.work.on_step = fill_and_lose_the_lock
        machine.table._owner = threading.get_ident()  # Pretend that this thread runs the event loop.
        machine.participants.append("a")
        machine.participants.append("b")
        with pytest.raises(RunAgainError):
            machine.steps.run(INFINITY)
        other.execute("COMMIT")
        assert (machine.work.log, len(machine.participants)) == (["add a"], 1)
        machine.steps.run(INFINITY)
        assert machine.work.log == ["add a", "add b"]
