"""Run the checkpoints of SQLite's write-ahead log on a separate thread.

A checkpoint copies pages from the log into the database file and calls fsync. If the event loop's thread ran
checkpoints, each checkpoint would block the event loop for tens of milliseconds.
See https://www.sqlite.org/wal.html#ckpt.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.2
"""The minimum pause between two checkpoints.

A page that is written several times during the pause is copied only once.
"""

RESTART_FRAMES = 4_000
"""The size of the log, in pages (16 MB), from which a checkpoint restarts the log.

Restarting means that the next write overwrites the log from the beginning of the log file, so the file stops growing.
The restart blocks writers for a moment.
"""

RESTART_TIMEOUT_MILLISECONDS = 50
"""How long a restart waits for readers and writers of the data file."""


class Checkpoints:
    """A thread that runs a checkpoint after `wake` is called. The thread has its own connection."""

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
            # The passive checkpoint has copied nearly all pages. The restart therefore holds the write lock only while
            # it copies the few pages that were written in the meantime.
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
