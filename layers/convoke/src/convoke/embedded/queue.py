"""A queue in the data file, with the semantics of SQS that deliveries rest on.

A message that was received is invisible for a while; whoever handles it removes it, or it comes again. So a crash
repeats a delivery and loses none (promise 7).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from convoke.embedded.sqlite import SqliteTable

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        account_sid TEXT NOT NULL,
        body TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at)",
)

VISIBILITY_TIMEOUT_SECONDS = 30.0
"""Seconds that a received message stays invisible: twice the longest time limit of a webhook."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    id: int
    account_sid: str
    body: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class DurableQueue:
    """Two queues by one name: the messages, and those that nobody could handle (`-dlq`)."""

    table: SqliteTable
    name: str

    def send(self, messages: Iterable[tuple[str, str]]) -> None:
        """Each with the SID of the account it is for, and its body."""
        rows = [(self.name, account_sid, body, time.time()) for account_sid, body in messages]
        with self.table.transaction() as connection:
            connection.executemany(
                "INSERT INTO messages (queue, account_sid, body, visible_at) VALUES (?, ?, ?, ?)", rows
            )

    def receive(self, passed_over: Collection[str] = ()) -> ReceivedMessage | None:
        """The message that has been visible longest, counted as received once more; not one of these accounts."""
        now = time.time()
        with self.table.transaction() as connection:
            row = connection.execute(
                "UPDATE messages SET visible_at = ?, receive_count = receive_count + 1 WHERE id ="
                " (SELECT id FROM messages WHERE queue = ? AND visible_at <= ?"
                "  AND account_sid NOT IN (SELECT value FROM json_each(?)) ORDER BY visible_at, id LIMIT 1)"
                " RETURNING id, account_sid, body, receive_count",
                (now + VISIBILITY_TIMEOUT_SECONDS, self.name, now, json.dumps(list(passed_over))),
            ).fetchone()
        return ReceivedMessage(*row) if row else None

    def is_empty(self) -> bool:
        """Also of what is under way, or put off."""
        with self.table.transaction() as connection:
            statement = "SELECT 1 FROM messages WHERE queue = ? LIMIT 1"
            return connection.execute(statement, (self.name,)).fetchone() is None

    def give_back(self, message: ReceivedMessage, seconds: float) -> None:
        """As if the message had not been received, but not to be received again before `seconds` are over."""
        self._change(
            "UPDATE messages SET visible_at = ?, receive_count = receive_count - 1 WHERE id = ?",
            time.time() + seconds,
            message.id,
        )

    def remove(self, message: ReceivedMessage) -> None:
        self._change("DELETE FROM messages WHERE id = ?", message.id)

    def postpone(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible again after `seconds`."""
        self._change("UPDATE messages SET visible_at = ? WHERE id = ?", time.time() + seconds, message.id)

    def bury(self, message: ReceivedMessage) -> None:
        """Move the message to the dead-letter queue."""
        self._change("UPDATE messages SET queue = ? WHERE id = ?", _dead_letters_of(self.name), message.id)

    def release(self) -> None:
        """Make every message visible now: nobody can be handling one, as the process has just begun."""
        self._change("UPDATE messages SET visible_at = 0 WHERE queue = ? AND receive_count > 0", self.name)

    def _change(self, statement: str, *parameters: str | float) -> None:
        with self.table.transaction() as connection:
            connection.execute(statement, parameters)


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """What was buried of the queue `name`."""

    table: SqliteTable
    name: str

    def bodies(self) -> list[str]:
        with self.table.transaction() as connection:
            return [body for _, body in self._messages(connection)]

    def redrive(self, again: Callable[[str], str]) -> int:
        """Send each back, as `again` makes it of its body and as if it had never been received; how many those were."""
        with self.table.transaction() as connection:
            messages = self._messages(connection)
            connection.executemany(
                "UPDATE messages SET queue = ?, body = ?, visible_at = ?, receive_count = 0 WHERE id = ?",
                [(self.name, again(body), time.time(), id_) for id_, body in messages],
            )
        return len(messages)

    def _messages(self, connection: sqlite3.Connection) -> list[tuple[int, str]]:
        statement = "SELECT id, body FROM messages WHERE queue = ? ORDER BY id"
        return connection.execute(statement, (_dead_letters_of(self.name),)).fetchall()


def _dead_letters_of(queue: str) -> str:
    return f"{queue}-dlq"
