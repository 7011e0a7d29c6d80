"""Run checkpoints of SQLite's write-ahead log on a separate thread.

A checkpoint copies pages from the write-ahead log into the database file, and calls fsync. On the event loop's thread,
each checkpoint would block the event loop for tens of milliseconds. See https://www.sqlite.org/wal.html#ckpt.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

from convoke.embedded.failures import StorageFailures

INTERVAL_SECONDS = 0.2
"""The minimum pause between two checkpoints.

A page that is written several times during the pause is copied only once.
"""

LONG_LOG_FRAMES = 4_000
"""If the log has at least this many pages (16 MB), a checkpoint copies several times.

Each further copy handles the pages that were written to the log during the copy before. The checkpoint ends when the
log gets no new pages during a copy, or after MAX_ROUNDS copies. The log file stops growing when all its pages are
copied, because the next write then starts at the beginning of the log. Copying does not block writes.
"""

MAX_ROUNDS = 8
"""The maximum number of times that one checkpoint copies a long log."""

RESTART_FRAMES = 16_000
"""If the log has at least this many pages (64 MB), a checkpoint forces a restart of the log.

For a restart, the checkpoint takes the write lock, copies the remaining pages and calls fsync. All writes wait
meanwhile. The next write then starts at the beginning of the log. `make bench` measures how long writes wait.
"""

RESTART_TIMEOUT_MILLISECONDS = 10
"""The maximum time of each wait of a forced restart. The restart first waits for the write lock, then for readers."""


class Checkpoints:
    """A thread that runs a checkpoint after `wake` is called. The thread has its own connection to the data file.

    Several calls of `wake` between two checkpoints cause only one checkpoint.
    """

    def __init__(self, path: str, failures: StorageFailures) -> None:
        self._path = path
        self._failures = failures
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {RESTART_TIMEOUT_MILLISECONDS}")
            while not self._stopping.wait(INTERVAL_SECONDS):
                self._woken.wait()
                self._woken.clear()
                try:
                    self._checkpoint(connection)
                except sqlite3.Error as error:
                    self._failures.report("a checkpoint failed and is repeated", error)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        frames = before = 0
        for _ in range(MAX_ROUNDS):
            before, (_, frames, _) = frames, connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames < LONG_LOG_FRAMES or frames == before:
                break
        if frames >= RESTART_FRAMES:
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
