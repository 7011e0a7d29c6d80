"""Write checkpoints of SQLite's write-ahead log on a thread of its own.

A checkpoint copies the log into the database file and calls fsync. On the connection that writes, it would stop the
event loop for tens of milliseconds. See https://www.sqlite.org/wal.html#ckpt.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.2
"""Pause between two checkpoints, so that a page which is written often is copied once and not each time."""

RESTART_FRAMES = 4_000
"""Pages in the log (16 MB) from which the writer is stopped for a moment, so that the log starts again at its begin."""

RESTART_TIMEOUT_MILLISECONDS = 50


class Checkpoints:
    """Copies the log after `wake`, with a connection of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
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
                    logger.warning("a checkpoint failed and is repeated: %s", error)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames >= RESTART_FRAMES:
            # Nearly everything is copied, so this holds the write lock only for the few pages that came meanwhile.
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
