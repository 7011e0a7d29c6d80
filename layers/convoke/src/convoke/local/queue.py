"""A queue in the data file, with the semantics of SQS that deliveries rest on.

A message that was received is invisible for a while; whoever handles it removes it, or it comes again. So a crash
repeats a delivery and loses none (promise 7).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from convoke.storage.sqlite import SqliteTable

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at)",
)

VISIBILITY_TIMEOUT = 30.0
"""Seconds that a received message stays invisible: six times the time limit of a webhook."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    id: int
    body: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class DurableQueue:
    """Two queues by one name: the messages, and those that nobody could handle (`-dlq`)."""

    table: SqliteTable
    name: str

    def send(self, bodies: Iterable[str]) -> None:
        rows = [(self.name, body, time.time()) for body in bodies]
        with self.table.transaction() as connection:
            connection.executemany("INSERT INTO messages (queue, body, visible_at) VALUES (?, ?, ?)", rows)

    def receive(self, limit: int) -> list[ReceivedMessage]:
        """At most `limit` visible messages, longest visible first; each counts as received once more."""
        now = time.time()
        with self.table.transaction() as connection:
            rows = connection.execute(
                "UPDATE messages SET visible_at = ?, receive_count = receive_count + 1 WHERE id IN"
                " (SELECT id FROM messages WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, id LIMIT ?)"
                " RETURNING id, body, receive_count",
                (now + VISIBILITY_TIMEOUT, self.name, now, limit),
            ).fetchall()
        return [ReceivedMessage(*row) for row in rows]

    def remove(self, message: ReceivedMessage) -> None:
        self._change("DELETE FROM messages WHERE id = ?", message.id)

    def postpone(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible again after `seconds`."""
        self._change("UPDATE messages SET visible_at = ? WHERE id = ?", time.time() + seconds, message.id)

    def bury(self, message: ReceivedMessage) -> None:
        """Move the message to the dead-letter queue."""
        self._change("UPDATE messages SET queue = ? WHERE id = ?", f"{self.name}-dlq", message.id)

    def release(self) -> None:
        """Make every message visible now: nobody can be handling one, as the process has just begun."""
        self._change("UPDATE messages SET visible_at = 0 WHERE queue = ? AND receive_count > 0", self.name)

    def _change(self, statement: str, *parameters: str | float) -> None:
        with self.table.transaction() as connection:
            connection.execute(statement, parameters)
