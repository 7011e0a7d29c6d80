"""A message queue in the data file, with the semantics of SQS that webhook deliveries need.

A received message stays invisible for the visibility timeout. Its consumer deletes the message, or the message becomes
visible again. So a crash can repeat a delivery, but never loses one. See
docs/decisions/0011-only-deliveries-are-queued-durably.md.
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
"""How long a received message stays invisible: twice the longest time limit of a webhook call."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that its consumer must delete, or that becomes visible again."""

    id: int
    account_sid: str
    body: str
    receive_count: int
    """How many times the message was received, this time included."""


@dataclass(frozen=True, slots=True)
class DurableQueue:
    """A queue and its dead-letter queue, which has the suffix `-dlq`. Both are rows of one table, by queue name."""

    table: SqliteTable
    name: str

    def send(self, messages: Iterable[tuple[str, str]]) -> None:
        """Send messages, given as pairs of Account SID and body."""
        rows = [(self.name, account_sid, body, time.time()) for account_sid, body in messages]
        with self.table.transaction() as connection:
            connection.executemany(
                "INSERT INTO messages (queue, account_sid, body, visible_at) VALUES (?, ?, ?, ?)", rows
            )

    def receive(self, excluded_accounts: Collection[str] = ()) -> ReceivedMessage | None:
        """Return the message that has been visible longest and count the receive, or return None.

        Messages of the excluded accounts stay in the queue.
        """
        now = time.time()
        with self.table.transaction() as connection:
            # One statement finds the message and hides it, so no other process can receive the same message. The
            # accounts are one JSON parameter: the text of the statement stays the same, and sqlite3 reuses it.
            row = connection.execute(
                "UPDATE messages SET visible_at = ?, receive_count = receive_count + 1 WHERE id ="
                " (SELECT id FROM messages WHERE queue = ? AND visible_at <= ?"
                "  AND account_sid NOT IN (SELECT value FROM json_each(?)) ORDER BY visible_at, id LIMIT 1)"
                " RETURNING id, account_sid, body, receive_count",
                (now + VISIBILITY_TIMEOUT_SECONDS, self.name, now, json.dumps(list(excluded_accounts))),
            ).fetchone()
        return ReceivedMessage(*row) if row else None

    def is_empty(self) -> bool:
        """Return whether the queue has no messages, invisible messages included."""
        with self.table.transaction() as connection:
            statement = "SELECT 1 FROM messages WHERE queue = ? LIMIT 1"
            return connection.execute(statement, (self.name,)).fetchone() is None

    def delete(self, message: ReceivedMessage) -> None:
        """Delete a message after it was processed."""
        self._execute("DELETE FROM messages WHERE id = ?", message.id)

    def change_visibility(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible again after `seconds`."""
        self._execute("UPDATE messages SET visible_at = ? WHERE id = ?", time.time() + seconds, message.id)

    def return_uncounted(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible again after `seconds`, and do not count this receive."""
        self._execute(
            "UPDATE messages SET visible_at = ?, receive_count = receive_count - 1 WHERE id = ?",
            time.time() + seconds,
            message.id,
        )

    def dead_letter(self, message: ReceivedMessage) -> None:
        """Move the message to the dead-letter queue."""
        self._execute("UPDATE messages SET queue = ? WHERE id = ?", _dead_letter_queue_name(self.name), message.id)

    def make_received_visible(self) -> None:
        """Make every received message visible now.

        A process calls this at its start, when the consumers of all received messages have ended with the process
        before.
        """
        self._execute("UPDATE messages SET visible_at = 0 WHERE queue = ? AND receive_count > 0", self.name)

    def _execute(self, statement: str, *parameters: str | float) -> None:
        with self.table.transaction() as connection:
            connection.execute(statement, parameters)


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """The dead-letter queue of the queue `name`. Implements `DeadLetters` of the command line."""

    table: SqliteTable
    name: str

    def bodies(self) -> list[str]:
        """Return the bodies of all messages."""
        with self.table.transaction() as connection:
            return [body for _, body in self._messages(connection)]

    def redrive(self, rewrite: Callable[[str], str]) -> int:
        """Move every message back to its queue with a receive count of 0, and return how many were moved.

        `rewrite` returns the body to send.
        """
        with self.table.transaction() as connection:
            messages = self._messages(connection)
            connection.executemany(
                "UPDATE messages SET queue = ?, body = ?, visible_at = ?, receive_count = 0 WHERE id = ?",
                [(self.name, rewrite(body), time.time(), id_) for id_, body in messages],
            )
        return len(messages)

    def _messages(self, connection: sqlite3.Connection) -> list[tuple[int, str]]:
        statement = "SELECT id, body FROM messages WHERE queue = ? ORDER BY id"
        return connection.execute(statement, (_dead_letter_queue_name(self.name),)).fetchall()


def _dead_letter_queue_name(queue: str) -> str:
    return f"{queue}-dlq"
