"""A thread copies SQLite's write-ahead log into the data file (embedded/checkpoints.py)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from convoke.embedded import checkpoints
from convoke.embedded.checkpoints import Checkpoints
from convoke.embedded.failures import StorageFailures
from tests.support.waiting import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "convoke.db"


@pytest.fixture
def writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.01)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE texts (body TEXT)")
        yield connection


def write(connection: sqlite3.Connection, megabytes: int) -> None:
    for _ in range(megabytes):
        connection.execute("INSERT INTO texts VALUES (?)", ("x" * 1_000_000,))


def test_log_is_copied_into_the_file_after_a_wake_up_and_not_before(path: Path, writer: sqlite3.Connection) -> None:
    thread = Checkpoints(str(path), StorageFailures())
    thread.start()
    write(writer, 2)
    time.sleep(0.1)
    assert path.stat().st_size < 1_000_000
    thread.wake()
    assert eventually(lambda: path.stat().st_size > 2_000_000)
    thread.stop()


@pytest.mark.parametrize(("frames", "restarts"), [(50, 0), (700, 1)])
def test_long_log_is_restarted_so_that_it_does_not_grow_for_ever(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, frames: int, restarts: int
) -> None:
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 600)
    writer.execute("INSERT INTO texts VALUES (?)", ("x" * 4096 * frames,))
    statements: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_trace_callback(statements.append)
        Checkpoints(str(path), StorageFailures())._checkpoint(connection)
    assert statements.count("PRAGMA wal_checkpoint(RESTART)") == restarts
    assert path.stat().st_size > 4096 * frames
    log = Path(f"{path}-wal").stat().st_size
    write(writer, 1)
    assert Path(f"{path}-wal").stat().st_size <= max(log, 1_100_000), "the log is written from its beginning again"


@pytest.mark.parametrize(("commits", "rounds"), [(0, 2), (3, 5), (100, checkpoints.MAX_ROUNDS)])
def test_long_log_is_copied_until_nothing_is_left_without_blocking_a_write(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, commits: int, rounds: int
) -> None:
    """During each round (one checkpoint), the writer has an open transaction, as under constant load.

    After each of the first `commits` rounds, the writer commits and so adds pages to the log.
    """
    monkeypatch.setattr(checkpoints, "LONG_LOG_FRAMES", 100)
    writer.execute("INSERT INTO texts VALUES (?)", ("x" * 4096 * 200,))
    begin(writer)
    statements: list[str] = []

    def trace(statement: str) -> None:
        statements.append(statement)
        if 1 < len(statements) <= commits + 1:
            writer.execute("COMMIT")
            begin(writer)

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_trace_callback(trace)
        Checkpoints(str(path), StorageFailures())._checkpoint(connection)
        assert statements == ["PRAGMA wal_checkpoint(PASSIVE)"] * rounds
        writer.execute("ROLLBACK")
        connection.set_trace_callback(None)
        Checkpoints(str(path), StorageFailures())._checkpoint(connection)
    log = Path(f"{path}-wal").stat().st_size
    begin(writer)
    writer.execute("COMMIT")
    assert Path(f"{path}-wal").stat().st_size == log, "the log is written from its beginning again"


def begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO texts VALUES (?)", ("x" * 3000,))


def test_restart_gives_up_on_a_reader_and_leaves_the_writer_free(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 1)
    write(writer, 1)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as reader,
        closing(sqlite3.connect(path, timeout=0.05, isolation_level=None)) as connection,
    ):
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM texts").fetchone() == (1,)
        Checkpoints(str(path), StorageFailures())._checkpoint(connection)
        write(writer, 1)
        assert reader.execute("SELECT count(*) FROM texts").fetchone() == (1,)


def test_failed_checkpoint_is_logged_and_repeated(
    path: Path, writer: sqlite3.Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, failures = Checkpoints._checkpoint, [sqlite3.OperationalError("disk I/O error")]

    def fail_once(self: Checkpoints, connection: sqlite3.Connection) -> None:
        if failures:
            raise failures.pop()
        original(self, connection)

    monkeypatch.setattr(Checkpoints, "_checkpoint", fail_once)
    thread = Checkpoints(str(path), StorageFailures())
    thread.start()
    write(writer, 2)
    thread.wake()
    assert eventually(lambda: "a checkpoint failed" in caplog.text)
    thread.wake()
    assert eventually(lambda: path.stat().st_size > 2_000_000)
    thread.stop()


def test_thread_that_was_never_started_can_be_stopped(path: Path) -> None:
    Checkpoints(str(path), StorageFailures()).stop()
