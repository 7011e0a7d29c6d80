"""Implement the queue of events, webhook deliveries and copies to phones, with the features of SQS that they need.

The queue is in the data file. In this module, "message" means a queue message. A received message is invisible until
its visibility timeout ends. If the consumer does not delete the message before that, the message becomes visible again.
A crash can therefore repeat a delivery, but cannot lose a delivery. See
docs/how-it-works.md#promise-7-a-failing-receiver-hurts-only-itself.

A receiver is a webhook server or a line. A line consists of a business address and a phone. The phone must get the
messages of the line in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sized
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from convoke.domain.instants import Clock
from convoke.embedded.data_format import OF_LINE
from convoke.embedded.sqlite import SqliteTable
from convoke.lean_dataclass import lean_dataclass

VISIBILITY_TIMEOUT_SECONDS = 30.0
"""How long a received message stays invisible. This is twice the maximum duration of a webhook call."""

MAX_PAUSE_SECONDS = 3600.0
"""The maximum time that a message can stay invisible.

If the remaining time is longer, somebody has set the clock back, and the queue treats the message as visible.
"""

PAGE_SIZE = 500

NO_RECEIVER = ""
"""The receiver of a message that contains an event which is not yet split into deliveries.

The dead letters of changes also have this receiver.
"""


class QueuedMessage(NamedTuple):
    account_sid: str
    receiver: str
    """The key of the receiver (see `receiver_key` and `line_key`), or `NO_RECEIVER` for an event."""
    body: str


@lean_dataclass
class ReceivedMessage:
    id: int
    account_sid: str
    receiver: str
    body: str
    receive_count: int
    failures: int
    """How often Convoke itself failed to process the message. `receive_count` does not include these receives."""


@lean_dataclass
class DurableQueue:
    """A queue in the data file. The name of its dead-letter queue is `NAME-dlq`.

    The clock `now` determines which messages are visible.
    """

    table: SqliteTable
    name: str
    now: Clock

    def send(self, messages: Iterable[QueuedMessage]) -> None:
        visible_at = self._seconds()
        self.table.write(
            _INSERT,
            *((self.name, *message, visible_at) for message in messages),
        )

    def receivers(self) -> list[str]:
        """Return the keys of all receivers that have a visible message, sorted.

        Ignore messages that contain an event, because their receiver is NO_RECEIVER.
        """
        return [receiver for (receiver,) in self.table.rows_outside_items(_RECEIVERS, (self.name, self._seconds()))]

    def next_receivers(self, after: str, limit: int) -> list[str]:
        """Find the receivers that have a visible message and whose keys are greater than `after`.

        Return the smallest of these keys, sorted, and at most `limit` keys. Ignore messages that have become visible
        since the last call of `make_due_visible`.
        """
        found = self.table.rows_outside_items(_NEXT_RECEIVERS, (self.name, after, limit))
        return [receiver for (receiver,) in found]

    def receive(self, receiver: str, *, in_order: bool = False) -> ReceivedMessage | None:
        """Do the same as `receive_ready`, but consider all visible messages."""
        self.make_due_visible()
        return self.receive_ready(receiver, in_order=in_order)

    def receive_ready(self, receiver: str, *, in_order: bool = False) -> ReceivedMessage | None:
        """Receive the message to `receiver` that has been visible for the longest time.

        With `in_order`, receive instead the visible message that was sent first. Use `in_order` only if `receiver` is a
        line: for any other receiver, the method would find no message.

        The received message becomes invisible, and its receive count increases by 1. Return None if no message to
        `receiver` is visible. Ignore messages that have become visible since the last call of `make_due_visible`.
        """
        found = self.table.rows_outside_items(_EARLIEST if in_order else _OLDEST, (self.name, receiver))
        if not found:
            return None
        id_, account_sid, receiver, body, receive_count, failures = found[0]
        self.table.write(
            "UPDATE messages SET waits = 1, visible_at = ?, receive_count = receive_count + 1 WHERE id = ?",
            (self._seconds() + VISIBILITY_TIMEOUT_SECONDS, id_),
        )
        return ReceivedMessage(id_, account_sid, receiver, body, receive_count + 1, failures)

    def make_due_visible(self, receiver: str | None = None) -> None:
        """Set the column `waits` to 0 for the messages that have become visible.

        If `receiver` is not None, only do so for the messages to `receiver`.
        """
        now = self._seconds()
        if self.table.rows_outside_items(_IS_DUE, (self.name, now)) != [(0,)]:
            for due in (_PAST, _TOO_FAR):
                statement = f"UPDATE messages SET waits = 0 WHERE {due} AND (?3 IS NULL OR receiver = ?3)"  # noqa: S608
                self.table.write(statement, (self.name, now, receiver))

    def is_first_visible(self, line: str) -> bool:
        """Return whether the first message of a line is visible. Return False if the line has no messages.

        The first message is the message that was sent first.
        """
        first = self.table.rows_outside_items(_FIRST, (self.name, line))
        return bool(first) and not self._waits(*first[0])

    def hold_back(self, line: str) -> None:
        """Postpone the visible messages of a line until the first message of the line becomes visible.

        Do nothing if the first message is visible. See `is_first_visible`.
        """
        first = self.table.rows_outside_items(_FIRST, (self.name, line))
        if first and self._waits(*first[0]):
            _, visible_at = first[0]
            self.table.write(_HOLD_BACK, (self.name, line, visible_at))

    def has_visible(self) -> bool:
        return self.table.rows_outside_items(_HAS_VISIBLE, (self.name, self._seconds())) != [(0,)]

    def has_visible_to(self, receiver: str) -> bool:
        return self.table.rows_outside_items(_HAS_VISIBLE_TO, (self.name, self._seconds(), receiver)) != [(0,)]

    def is_empty(self) -> bool:
        """Return whether the queue contains no messages. Invisible messages count too."""
        return not self.table.rows_outside_items("SELECT 1 FROM messages WHERE queue = ? LIMIT 1", (self.name,))

    def next_visible(self, after: datetime, excluded: Collection[int] = ()) -> datetime | None:
        """Return when the next message becomes visible. Consider only times later than `after`.

        Ignore messages whose ids are in `excluded`. Return None if no message becomes visible after `after`.
        """
        statement = _next_visible(len(excluded))
        found = self.table.rows_outside_items(statement, (self.name, after.timestamp(), *excluded))
        if not found:
            return None
        visible_at = found[0][0]
        moment = datetime.fromtimestamp(visible_at, UTC)
        # `fromtimestamp` rounds to microseconds. At a time that is rounded down, the message is not yet visible.
        return moment if moment.timestamp() >= visible_at else moment + timedelta.resolution

    def return_uncounted(self, message: ReceivedMessage, seconds: float) -> None:
        """Make a message visible again after `seconds`. Do not count its last receive."""
        self.table.write(
            # Do not use `receive_count - 1` in SQL. The unit of work that received the message may have been dropped
            # (rolled back). Then the stored receive count never increased.
            "UPDATE messages SET waits = 1, visible_at = ?, receive_count = ? WHERE id = ?",
            (self._seconds() + seconds, message.receive_count - 1, message.id),
        )

    def return_failed(self, message: ReceivedMessage, seconds: float) -> None:
        """Do the same as `return_uncounted`, and also count a failure of Convoke itself."""
        self.table.write(
            "UPDATE messages SET waits = 1, visible_at = ?, receive_count = ?, failures = ? WHERE id = ?",
            (self._seconds() + seconds, message.receive_count - 1, message.failures + 1, message.id),
        )

    def delete(self, message: ReceivedMessage) -> None:
        self.table.write("DELETE FROM messages WHERE id = ?", (message.id,))

    def change_visibility(self, message: ReceivedMessage, seconds: float) -> None:
        """Make a message visible again after `seconds`. Its last receive stays counted."""
        self.table.write(
            "UPDATE messages SET waits = 1, visible_at = ? WHERE id = ?", (self._seconds() + seconds, message.id)
        )

    def dead_letter(self, message: ReceivedMessage, body: str) -> None:
        """Move a message to the dead-letter queue, and replace its body by `body`."""
        statement = "UPDATE messages SET queue = ?, body = ? WHERE id = ?"
        self.table.write(statement, (_dead_letters_of(self.name), body, message.id))

    def make_received_visible(self, excluded: Collection[int] = ()) -> None:
        """Make all messages visible, also those that wait for a retry. Skip messages whose ids are in `excluded`.

        The engine calls this method when it starts, and after somebody has set the clock back.
        """
        invisible = f"queue = ? AND waits = 1 AND id NOT IN ({_placeholders(excluded)})"
        if self.table.rows_outside_items(f"SELECT 1 FROM messages WHERE {invisible} LIMIT 1", (self.name, *excluded)):  # noqa: S608
            self.table.write(f"UPDATE messages SET waits = 0, visible_at = 0 WHERE {invisible}", (self.name, *excluded))  # noqa: S608

    def _waits(self, waits: int, visible_at: float) -> bool:
        return bool(waits) and 0 < visible_at - self._seconds() <= MAX_PAUSE_SECONDS

    def _seconds(self) -> float:
        return self.now().timestamp()


_INSERT = "INSERT INTO messages (queue, account_sid, receiver, body, visible_at, waits) VALUES (?, ?, ?, ?, ?, 0)"

# The column `waits` is 1 for an invisible message. After the message has become visible, `make_due_visible` sets the
# column to 0. Messages with `waits = 0` are in the index `messages_visible`, the others in `messages_waiting`. SQLite
# uses these indexes only for statements that contain exactly `waits = 0` or `waits = 1`. See
# docs/decisions/0164-waiting-messages-have-their-own-index.md.

_READY = "queue = ?1 AND waits = 0"

_PAST = "queue = ?1 AND waits = 1 AND visible_at <= ?2"

_TOO_FAR = f"queue = ?1 AND waits = 1 AND visible_at > ?2 + {MAX_PAUSE_SECONDS}"

# Use several EXISTS terms. If one WHERE term combined the conditions with OR, SQLite would scan all messages.
_IS_DUE = (
    f"SELECT EXISTS (SELECT 1 FROM messages WHERE {_PAST})"  # noqa: S608 - only constants
    f" OR EXISTS (SELECT 1 FROM messages WHERE {_TOO_FAR})"
)

_HAS_VISIBLE = f"{_IS_DUE} OR EXISTS (SELECT 1 FROM messages WHERE {_READY})"  # noqa: S608

_HAS_VISIBLE_TO = (
    f"SELECT EXISTS (SELECT 1 FROM messages WHERE {_READY} AND receiver = ?3)"  # noqa: S608 - only constants
    f" OR EXISTS (SELECT 1 FROM messages WHERE {_PAST} AND receiver = ?3)"
    f" OR EXISTS (SELECT 1 FROM messages WHERE {_TOO_FAR} AND receiver = ?3)"
)

_READY_TO = (
    "SELECT id, account_sid, receiver, body, receive_count, failures FROM messages"  # noqa: S608 - only constants
    f" WHERE {_READY} AND receiver = ?2"
)

_OLDEST = f"{_READY_TO} ORDER BY visible_at, id LIMIT 1"

_EARLIEST = f"{_READY_TO} AND {OF_LINE} ORDER BY id LIMIT 1"

_FIRST = f"SELECT waits, visible_at FROM messages WHERE queue = ?1 AND receiver = ?2 AND {OF_LINE} ORDER BY id LIMIT 1"  # noqa: S608

_HOLD_BACK = f"UPDATE messages SET waits = 1, visible_at = ?3 WHERE {_READY} AND receiver = ?2"  # noqa: S608


def _receivers_after(after: str, limit: str = "") -> str:
    """Return the SQL statement that selects the receivers after `after` that have a message with `waits = 0`.

    `after` and `limit` are parts of the statement.
    """
    # Look up each receiver in the index. With DISTINCT, SQLite would read all visible messages. The last lookup finds
    # NULL, because no receiver follows.
    return (
        "WITH RECURSIVE found (receiver) AS ("  # noqa: S608 - only constants
        f" SELECT min(receiver) FROM messages WHERE {_READY} AND receiver > {after}"
        f" UNION ALL SELECT (SELECT min(receiver) FROM messages WHERE {_READY} AND receiver > found.receiver)"
        f" FROM found WHERE found.receiver IS NOT NULL{limit})"
        " SELECT receiver FROM found WHERE receiver IS NOT NULL"
    )


_NEXT_RECEIVERS = _receivers_after("?2", " LIMIT ?3")

_RECEIVERS = (
    _receivers_after(f"'{NO_RECEIVER}'")  # noqa: S608 - only constants
    + f" UNION SELECT receiver FROM messages WHERE {_PAST} AND receiver > '{NO_RECEIVER}'"  # noqa: S608 - only constants
    f" UNION SELECT receiver FROM messages WHERE {_TOO_FAR} AND receiver > '{NO_RECEIVER}' ORDER BY receiver"
)


def _next_visible(excluded: int) -> str:
    """Return the SQL statement for `DurableQueue.next_visible`. `excluded` is the number of excluded ids."""
    return (
        "SELECT visible_at FROM messages WHERE queue = ?1 AND waits = 1 AND visible_at > ?2"  # noqa: S608
        f" AND id NOT IN ({_placeholders(range(excluded))}) ORDER BY visible_at LIMIT 1"
    )


def _placeholders(values: Sized) -> str:
    return ", ".join("?" * len(values))


@lean_dataclass
class DeadLetterQueue:
    """The dead-letter queue that belongs to the queue `name`."""

    table: SqliteTable
    name: str
    now: Clock

    def bodies(self) -> list[str]:
        statement = "SELECT body FROM messages WHERE queue = ? ORDER BY id"
        return [body for (body,) in self.table.rows_outside_items(statement, (_dead_letters_of(self.name),))]

    def add(self, account_sid: str, body: str) -> None:
        message = (_dead_letters_of(self.name), account_sid, NO_RECEIVER, body, self.now().timestamp())
        self.table.write(_INSERT, message)

    def consume(self, handle: Callable[[str], bool]) -> int:
        """Call `handle` with the body of each message. If `handle` returns True, delete the message.

        Return how many messages were deleted.
        """
        consumed = 0
        for page in self._pages():
            done = [(id_,) for id_, body in page if handle(body)]
            self.table.write("DELETE FROM messages WHERE id = ?", *done)
            consumed += len(done)
        return consumed

    def redrive(self, again: Callable[[str], str]) -> int:
        """Move every message back to the queue `name`. Reset its receive count and its failures to 0.

        `again` converts the old body of a message to the new body. Each page of messages has its own commit. Return how
        many messages were moved.
        """
        redriven = 0
        for page in self._pages():
            visible_at = self.now().timestamp()
            self.table.write(
                "UPDATE messages SET queue = ?, body = ?, waits = 0, visible_at = ?, receive_count = 0, failures = 0"
                " WHERE id = ?",
                *((self.name, again(body), visible_at, id_) for id_, body in page),
            )
            redriven += len(page)
        return redriven

    def _pages(self) -> Iterator[list[tuple[int, str]]]:
        """Yield the ids and bodies of all messages in pages, so that the caller can commit each page separately."""
        last = 0
        while page := self.table.rows_outside_items(
            "SELECT id, body FROM messages WHERE queue = ? AND id > ? ORDER BY id LIMIT ?",
            (_dead_letters_of(self.name), last, PAGE_SIZE),
        ):
            yield page
            last = page[-1][0]


def _dead_letters_of(queue: str) -> str:
    return f"{queue}-dlq"
