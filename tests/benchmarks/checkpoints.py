"""Measure how long checkpoints stall writes: `python -m tests.benchmarks.checkpoints [--json PATH]`.

One thread runs the checkpoints of the embedded engine. The main thread writes the rows of finished conversations, as
the engine's event loop does under full load.

Only one part of a checkpoint stalls writes: a forced restart of the write-ahead log. During the restart, the checkpoint
holds SQLite's write lock. A stall is the time from the first failed `BEGIN IMMEDIATE` until a transaction begins.

A forced restart is rare, because Convoke restarts only a log of at least 64 MB. Therefore a second measurement restarts
every log of at least 16 MB.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from convoke.embedded import checkpoints
from convoke.embedded.failures import StorageFailures
from tests.benchmarks.load import once
from tests.benchmarks.runs import run
from tests.benchmarks.server import convoke
from tests.benchmarks.yardstick import Yardstick

SECONDS = 15.0

UNITS_PER_SECOND, CONVERSATIONS_PER_UNIT = 60, 8
"""The number of transactions per second, and of conversations per transaction: 480 conversations per second.

Under the load of 16 clients, Convoke's transactions have this size.
"""

POLL_SECONDS = 0.0002


def begin(connection: sqlite3.Connection) -> float:
    """Begin a transaction. Return for how many seconds this thread waited for the write lock."""
    begun = time.perf_counter()
    stalled = False
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            stalled = True
            time.sleep(POLL_SECONDS)
        else:
            return time.perf_counter() - begun if stalled else 0.0


def write(writer: Yardstick, thread: checkpoints.Checkpoints) -> tuple[list[float], list[float]]:
    """Write conversations for `SECONDS`. Return the durations of the stalls and of the commits, in seconds."""
    stalls, commits = [], []
    until = time.perf_counter() + SECONDS
    next_unit = time.perf_counter()
    while time.perf_counter() < until:
        if stall := begin(writer.connection):
            stalls.append(stall)
        for _ in range(CONVERSATIONS_PER_UNIT):
            writer.insert_conversation()
        begun = time.perf_counter()
        writer.connection.execute("COMMIT")
        commits.append(time.perf_counter() - begun)
        thread.wake()
        next_unit = max(next_unit + 1 / UNITS_PER_SECOND, time.perf_counter() - 1)
        time.sleep(max(0.0, next_unit - time.perf_counter()))
    return stalls, commits


def measured(data: Path, model: Path) -> dict[str, float]:
    writer = Yardstick(str(data), str(model))
    writer.connection.execute("PRAGMA wal_autocheckpoint = 0")
    thread = checkpoints.Checkpoints(str(data), StorageFailures())
    thread.start()
    stalls, commits = write(writer, thread)
    thread.stop()
    return {
        "conversations": len(commits) * CONVERSATIONS_PER_UNIT,
        "log_mb": round(Path(f"{data}-wal").stat().st_size / 1e6, 1),
        "stalls": len(stalls),
        "longest_stall_ms": round(max(stalls, default=0) * 1000, 3),
        "longest_commit_ms": round(max(commits) * 1000, 3),
    }


def measure() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        model = Path(folder) / "convoke.db"
        with convoke(model) as instance:
            once(instance.address, instance.create_until_active)
        usual = measured(Path(folder) / "usual.db", model)
        checkpoints.RESTART_FRAMES = checkpoints.LONG_LOG_FRAMES
        return {"usual": usual, "forced": measured(Path(folder) / "forced.db", model)}


if __name__ == "__main__":
    run(measure, __doc__)
