"""The delivery queue in the data file, with the semantics of SQS that deliveries rely on.

A received message is invisible for a while. Its consumer removes it, or it becomes visible again; so a crash repeats a
delivery and loses none. See docs/how-it-works.md#promise-7-a-failing-receiver-hurts-only-itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from convoke.domain.instants import Clock
from convoke.embedded.sqlite import SqliteTable

VISIBILITY_TIMEOUT_SECONDS = 30.0
"""How long a received message stays invisible: twice the longest time limit of a webhook."""

MAX_PAUSE_SECONDS = 3600.0
"""A message that is invisible for longer than any pause counts as visible: the clock was set back."""

REDRIVE_PAGE_SIZE = 500

NO_RECEIVER = ""
"""The receiver of an event that is not split into deliveries yet."""


class QueuedMessage(NamedTuple):
    account_sid: str
    receiver: str
    """Account and receiver, such as `AC... https://example.com:443`; `NO_RECEIVER` for an event."""
    body: str


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    id: int
    account_sid: str
    receiver: str
    body: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class DurableQueue:
    """A queue with its dead-letter queue (`NAME-dlq`). `now` tells when messages become visible."""

    table: SqliteTable
    name: str
    now: Clock

    def send(self, messages: Iterable[QueuedMessage]) -> None:
        visible_at = self._seconds()
        self.table.write(
            "INSERT INTO messages (queue, account_sid, receiver, body, visible_at) VALUES (?, ?, ?, ?, ?)",
            *((self.name, *message, visible_at) for message in messages),
        )

    def receivers(self) -> list[str]:
        """Return the receivers that have a visible message, in the order of their names."""
        # SQLite seeks in the index, for each receiver a few times: the time does not grow with the messages.
        return [receiver for (receiver,) in self.table.rows(_RECEIVERS, (self.name, self._seconds()))]

    def receive(self, receiver: str) -> ReceivedMessage | None:
        """Return the message to `receiver` that has been visible longest, counted as received once more."""
        now = self._seconds()
        found = self.table.rows(_OLDEST, (self.name, now, receiver))
        if not found:
            return None
        id_, account_sid, receiver, body, receive_count = found[0]
        self.table.write(
            "UPDATE messages SET visible_at = ?, receive_count = receive_count + 1 WHERE id = ?",
            (now + VISIBILITY_TIMEOUT_SECONDS, id_),
        )
        return ReceivedMessage(id_, account_sid, receiver, body, receive_count + 1)

    def has_visible(self) -> bool:
        return bool(self.table.rows(_OLDEST, (self.name, self._seconds(), NO_RECEIVER)) or self.receivers())

    def is_empty(self) -> bool:
        """Whether there is no message at all, not even an invisible one."""
        return not self.table.rows("SELECT 1 FROM messages WHERE queue = ? LIMIT 1", (self.name,))

    def next_visible(self, after: datetime, excluded: Collection[int] = ()) -> datetime | None:
        """Return when the next message, except for those with the `excluded` ids, becomes visible after that moment."""
        rows = self.table.rows(
            "SELECT min(visible_at) FROM messages WHERE queue = ? AND visible_at > ?"  # noqa: S608 - only placeholders
            f" AND id NOT IN ({', '.join('?' * len(excluded))})",
            (self.name, after.timestamp(), *excluded),
        )
        return datetime.fromtimestamp(rows[0][0], UTC) if rows[0][0] is not None else None

    def return_uncounted(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible after `seconds` and do not count this receipt."""
        self.table.write(
            # Not `receive_count - 1`: the receipt may have been dropped with its unit already.
            "UPDATE messages SET visible_at = ?, receive_count = ? WHERE id = ?",
            (self._seconds() + seconds, message.receive_count - 1, message.id),
        )

    def delete(self, message: ReceivedMessage) -> None:
        self.table.write("DELETE FROM messages WHERE id = ?", (message.id,))

    def change_visibility(self, message: ReceivedMessage, seconds: float) -> None:
        """Make the message visible after `seconds`."""
        self.table.write("UPDATE messages SET visible_at = ? WHERE id = ?", (self._seconds() + seconds, message.id))

    def dead_letter(self, message: ReceivedMessage) -> None:
        self.table.write("UPDATE messages SET queue = ? WHERE id = ?", (_dead_letters_of(self.name), message.id))

    def make_received_visible(self) -> None:
        """Make every message visible: this process has just started, so nothing is being delivered."""
        if self.table.rows("SELECT 1 FROM messages WHERE queue = ? AND visible_at > 0 LIMIT 1", (self.name,)):
            self.table.write("UPDATE messages SET visible_at = 0 WHERE queue = ? AND visible_at > 0", (self.name,))

    def _seconds(self) -> float:
        return self.now().timestamp()


_VISIBLE = f"(visible_at <= ?2 OR visible_at > ?2 + {MAX_PAUSE_SECONDS})"

_OLDEST = (
    "SELECT id, account_sid, receiver, body, receive_count FROM messages"  # noqa: S608 - only our names
    f" WHERE queue = ?1 AND receiver = ?3 AND {_VISIBLE} ORDER BY visible_at, id LIMIT 1"
)

_OF_RECEIVER = "FROM messages WHERE queue = ?1 AND messages.receiver = found.receiver"

# Two terms, because SQLite would walk through all messages of a receiver to evaluate `_VISIBLE`.
_RECEIVERS = (
    "WITH RECURSIVE found (receiver) AS ("  # noqa: S608
    " SELECT min(receiver) FROM messages WHERE queue = ?1 AND receiver > ''"
    " UNION ALL"
    " SELECT (SELECT min(receiver) FROM messages WHERE queue = ?1 AND receiver > found.receiver)"
    " FROM found WHERE found.receiver IS NOT NULL)"
    " SELECT receiver FROM found WHERE receiver IS NOT NULL AND ("
    f" EXISTS (SELECT 1 {_OF_RECEIVER} AND visible_at <= ?2)"
    f" OR EXISTS (SELECT 1 {_OF_RECEIVER} AND visible_at > ?2 + {MAX_PAUSE_SECONDS}))"
)


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """The dead letters of the queue `name`."""

    table: SqliteTable
    name: str
    now: Clock

    def bodies(self) -> list[str]:
        statement = "SELECT body FROM messages WHERE queue = ? ORDER BY id"
        return [body for (body,) in self.table.rows(statement, (_dead_letters_of(self.name),))]

    def redrive(self, again: Callable[[str], str]) -> int:
        """Send each message back to its queue as if it had never been received; return how many.

        `again` returns the new body for the old one. The messages are sent in pages, each in one commit.
        """
        redriven, last = 0, 0
        while page := self.table.rows(
            "SELECT id, body FROM messages WHERE queue = ? AND id > ? ORDER BY id LIMIT ?",
            (_dead_letters_of(self.name), last, REDRIVE_PAGE_SIZE),
        ):
            visible_at = self.now().timestamp()
            self.table.write(
                "UPDATE messages SET queue = ?, body = ?, visible_at = ?, receive_count = 0 WHERE id = ?",
                *((self.name, again(body), visible_at, id_) for id_, body in page),
            )
            redriven, last = redriven + len(page), page[-1][0]
        return redriven


def _dead_letters_of(queue: str) -> str:
    return f"{queue}-dlq"
