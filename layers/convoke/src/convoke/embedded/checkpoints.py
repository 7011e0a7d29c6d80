"""Run the checkpoints of SQLite's write-ahead log on a separate thread.

A checkpoint copies pages from the write-ahead log into the database file and calls fsync. On the event loop's thread,
each checkpoint would block the event loop for tens of milliseconds.
See https://www.sqlite.org/wal.html#ckpt.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

from convoke.embedded.failures import DataFileFailures

INTERVAL_SECONDS = 0.2
"""The minimum pause between two checkpoints.

If a page is written several times during the pause, the next checkpoint copies the page only once.
"""

RESTART_FRAMES = 4_000
"""The number of pages (16 MB) at which a checkpoint restarts the write-ahead log.

After a restart, the next write overwrites the log file from its beginning. The log file therefore stops growing. A
restart blocks writers for a short time.
"""

RESTART_TIMEOUT_MILLISECONDS = 50
"""The maximum time that a restart waits until other connections stop using the write-ahead log."""


class Checkpoints:
    """A thread that runs a checkpoint after `wake` is called. The thread has its own connection."""

    def __init__(self, path: str, failures: DataFileFailures) -> None:
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
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames >= RESTART_FRAMES:
            # The restart holds the write lock only for a short time. The passive checkpoint has already copied nearly
            # all pages, and the restart copies only the pages that were written after that.
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
