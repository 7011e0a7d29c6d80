"""The Table port on one SQLite file, or in memory, with one unit of work for each tick of the event loop.

The first write of a tick takes SQLite's write lock (`BEGIN IMMEDIATE`) and opens a unit. Conditions are evaluated on
what is read after that, so other processes that write to the file are never overwritten. The unit collects rows in
memory and writes and commits all of them when the tick ends. See docs/decisions/0068-one-unit-of-work-a-tick.md.

Without an event loop the calling thread commits at once, or at the end of `unit()`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache, partial
from itertools import chain, repeat
from typing import Any, TypeVar

from convoke.domain.errors import UnavailableError
from convoke.embedded.checkpoints import Checkpoints
from convoke.embedded.data_format import MEMORY, open_data_file
from convoke.embedded.evaluation import check_updates, holds, updated
from convoke.embedded.rows import COLUMNS, Row, decode, index_columns, row_of
from convoke.embedded.suspension import RunAgainError
from convoke.embedded.unit import MAX_ROWS, Unit
from convoke.storage.table import (
    EXPIRES_AT,
    ConditionFailedError,
    Delete,
    Index,
    Item,
    Key,
    Put,
    TransactionCanceledError,
    Update,
    Write,
    writes_by_key,
)

logger = logging.getLogger(__name__)

MAX_KEYS = 100
"""Items in one `get_many` (a limit of DynamoDB's BatchGetItem)."""

MAX_EXPIRED_PER_PASS = 1000
"""Items removed in one pass, because nothing else can write meanwhile."""

ROWS_PER_STATEMENT = 25
"""Rows in one INSERT. Fewer statements mean fewer switches between Python and SQLite."""

LOCK_TIMEOUT_SECONDS = 5.0
"""How long a thread waits for the write lock of another process."""

LOCK_POLL_SECONDS = 0.005

FAILURE_LOG_INTERVAL_SECONDS = 60.0

Result = TypeVar("Result")


class SqliteTable:
    """Implements `Table`. `path` may be `:memory:`, which ends with the object.

    The first write of an item for which `streamed` holds also appends the item to the stream, in the same commit.
    After the commit `on_stream` is called if the stream grew, and `on_changes` with every new change record.

    A commit survives the end of the process at any moment. After a loss of power the file is intact, but it may lack
    the last commits: `synchronous=NORMAL` calls fsync once for each checkpoint and not for each commit.
    """

    def __init__(
        self,
        path: str,
        *,
        streamed: Callable[[Item], bool] = lambda item: False,  # noqa: ARG005
        on_stream: Callable[[], None] = lambda: None,
        on_changes: Callable[[Sequence[Item]], None] = lambda items: None,  # noqa: ARG005
        on_failure: Callable[[], None] = lambda: None,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        """`lock_timeout` is how many seconds a thread waits for the write lock of another process."""
        self._streamed = streamed
        self._on_stream = on_stream
        self._on_changes = on_changes
        self._on_failure = on_failure
        self._lock_timeout = lock_timeout
        self._lock = threading.RLock()
        """Guards the connection as long as no event loop owns it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        """The thread of the event loop, or 0."""
        self._unit: Unit | None = None
        self._held = 0
        """How many `unit()` blocks are open."""
        self._connection = open_data_file(path)
        self._checkpoints = Checkpoints(path) if path != MEMORY else None
        self._last_failure_logged = float("-inf")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the calling thread, which runs `loop`, the only one that uses the connection."""
        self._owner, self._loop = threading.get_ident(), loop
        if self._checkpoints:
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._checkpoints.start()

    def detach(self) -> None:
        """Give the connection back to whichever thread calls. To be called when the loop has ended or is about to."""
        if not self._held:
            self._end_tick()
        self._owner, self._loop = 0, None

    def close(self) -> None:
        if self._checkpoints:
            self._checkpoints.stop()
        with self._lock:
            if self._unit is not None:
                self._abandon(UnavailableError())
            self._connection.close()

    # The Table port.

    def get(self, key: Key) -> Item | None:
        return self._run(partial(self._get, key))

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if len(keys) > MAX_KEYS:
            raise ValueError(f"at most {MAX_KEYS} items can be read at once, not {len(keys)}")
        return self._run(partial(self._get_many, keys))

    def query(
        self,
        partition: str,
        *,
        limit: int,
        index: Index | None = None,
        between: tuple[str, str] | None = None,
        after: Item | None = None,
        forward: bool = True,
        consistent: bool = False,  # noqa: ARG002 - always is
    ) -> list[Item]:
        if limit < 1:
            raise ValueError(f"a page holds at least one item, not {limit}")
        column, order, names = _layout(index)
        position = tuple(str(after[name]) for name in names) if after else None
        clauses, parameters = _bounds(order, between, position, forward=forward)
        direction = "ASC" if forward else "DESC"
        statement = (
            f"SELECT {_selected(index)} FROM items WHERE {' AND '.join([f'{column} = ?', *clauses])}"  # noqa: S608
            f" ORDER BY {', '.join(f'{name} {direction}' for name in order)} LIMIT ?"
        )
        rows = self.rows(statement, (partition, *parameters, limit))
        if index is None:
            return [decode(body) for (body,) in rows]
        attributes = ("pk", "sk", index.partition, index.sort, *index.projected)
        return [{name: value for name, value in zip(attributes, row, strict=True) if value is not None} for row in rows]

    def update(self, update: Update) -> Item:
        try:
            bodies = self._run(partial(self._apply, (update,)))
        except TransactionCanceledError as error:
            raise ConditionFailedError(error.failed[0]) from None
        # Decoded, so that it shares no list with the actions.
        return decode(bodies[update.key].body)

    def transact(self, writes: Sequence[Write]) -> None:
        self._run(partial(self._apply, writes))

    # Units.

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Commit everything that the block writes at once. With an event loop that is the tick's unit.

        An exception drops the unit unless an event loop owns the table. To be used on the owner's thread only.
        """
        if self._owner:
            yield
            return
        with self._lock:
            self._held += 1
            try:
                yield
            except BaseException:
                self._held -= 1
                if not self._held and self._unit:
                    self._abandon(UnavailableError())
                raise
            self._held -= 1
            if not self._held and self._unit:
                self._commit()

    def run(self, function: Callable[[], Result]) -> Result:
        """Return what `function` returns, computed on the owner's thread, after the commit of everything it saw.

        For threads that are not the event loop's. Waits for a write lock that another process holds; raises
        UnavailableError if that takes too long.
        """
        return self._run(function)

    def after_commit(self, function: Callable[[], None]) -> None:
        """Call `function` after the commit of the open unit, never if that fails; at once if no unit is open."""
        if self._unit is None:
            function()
        else:
            self._unit.on_commit.append(function)

    def on_failure(self, function: Callable[[], None]) -> None:
        """Call `function` if the commit of the open unit fails; never if no unit is open."""
        if self._unit is not None:
            self._unit.on_failure.append(lambda _: function())

    def committed(self) -> asyncio.Future[None] | None:
        """Return a future that ends with the commit of the open unit; None if no unit is open.

        The future raises UnavailableError if the commit fails. Every answer that was computed while a unit was open
        waits for it, because it may tell of what the unit holds.
        """
        if self._unit is None or self._loop is None:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._unit.on_commit.append(partial(_succeed, future))
        self._unit.on_failure.append(partial(_fail, future))
        self.commit_if_full()
        return future

    def commit_if_full(self) -> None:
        """Commit the unit of a tick that holds MAX_ROWS rows.

        To be called between two operations only: an operation whose first write was committed before its second one
        could not run again if the write lock were lost in between, and would not notice that its first write failed.
        """
        if self._unit is not None and self._unit.rows >= MAX_ROWS and not self._held:
            self._end_tick()

    def begin(self) -> None:
        """Open a unit unless one is open. Raises RunAgainError while another process holds the write lock."""
        if self._unit is not None:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise RunAgainError from error
            raise self._unavailable(error) from error
        self._unit = Unit()
        if self._loop is not None:
            self._loop.call_soon(self._end_tick)

    def write(self, statement: str, *parameters: Sequence[Any]) -> list[Any]:
        """Run one statement, once for each of `parameters`, as part of the unit. Return the rows of a single one."""
        return self._run(partial(self._write, statement, parameters))

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a SELECT, which sees what the open unit holds."""
        return self._run(partial(self._rows, statement, parameters))

    # The stream, and what expires.

    def stream_records(self, limit: int) -> list[tuple[int, Item]]:
        """Return the oldest records of the stream. They stay until they are removed, so a crash repeats them."""
        records = self.rows("SELECT sequence, body FROM stream ORDER BY sequence LIMIT ?", (limit,))
        return [(sequence, decode(body)) for sequence, body in records]

    def delete_stream_records(self, sequences: Sequence[int]) -> None:
        """Remove published records."""
        self.write("DELETE FROM stream WHERE sequence = ?", *((sequence,) for sequence in sequences))

    def remove_expired(self, now: datetime) -> None:
        """Remove some of the items whose `expires_at` has passed, as DynamoDB does by itself. Call it regularly."""
        self._run(partial(self._remove_expired, int(now.timestamp())))

    def _remove_expired(self, seconds: int) -> None:
        expired = f"SELECT pk, sk FROM items WHERE {EXPIRES_AT} < ? LIMIT ?"  # noqa: S608 - only our names
        if self._rows(expired, (seconds, 1)):
            statement = f"DELETE FROM items WHERE (pk, sk) IN ({expired})"  # noqa: S608
            self._write(statement, [(seconds, MAX_EXPIRED_PER_PASS)])
            if self._unit is not None:
                # Some of these items may be among the removed ones.
                self._unit.known.clear()

    # Threads.

    def _run(self, function: Callable[[], Result]) -> Result:
        owner = self._owner
        if not owner:
            return self._run_here(function)
        if owner == threading.get_ident():
            return function()
        return self._run_on_loop(function)

    def _run_here(self, function: Callable[[], Result]) -> Result:
        """Without an event loop the calling thread does it, and commits unless it is inside `unit()`."""
        with self._lock:
            try:
                result = self._when_unlocked(function)
            except Exception:
                # A refused write has left the unit as it was. The unit must end, because it holds the write lock.
                self._commit_unless_held()
                raise
            except BaseException:
                # An interrupt may have come in the middle of a write.
                if self._unit is not None and not self._held:
                    self._abandon(UnavailableError())
                raise
            self._commit_unless_held()
            return result

    def _commit_unless_held(self) -> None:
        if self._unit is not None and not self._held:
            self._commit()

    def _run_on_loop(self, function: Callable[[], Result]) -> Result:
        def hand_over() -> Result:
            future: Future[Result] = Future()
            loop = self._loop
            if loop is None:
                raise UnavailableError
            loop.call_soon_threadsafe(self._answer, function, future)
            return future.result()

        return self._when_unlocked(hand_over)

    def _answer(self, function: Callable[[], Result], future: Future[Result]) -> None:
        """Compute on the event loop's thread; the waiting thread gets the result, or the error, after the commit."""
        try:
            result = function()
        except BaseException as error:
            conclude = partial(future.set_exception, error)
        else:
            conclude = partial(future.set_result, result)
        self.after_commit(conclude)
        if self._unit is not None:
            self._unit.on_failure.append(future.set_exception)
            self.commit_if_full()

    def _when_unlocked(self, function: Callable[[], Result]) -> Result:
        """Run `function` again while another process holds the write lock. Raises UnavailableError after some time."""
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                return function()
            except RunAgainError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError from error
                time.sleep(LOCK_POLL_SECONDS)

    # Reading.

    def _get(self, key: Key) -> Item | None:
        unit = self._unit
        if unit is not None and key in unit.known:
            body = unit.known[key]
        else:
            found = self._select("SELECT body FROM items WHERE pk = ? AND sk = ?", key)
            body = found[0][0] if found else None
            if unit is not None:
                unit.known[key] = body
        return decode(body) if body is not None else None

    def _get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        bodies = self._bodies(list(dict.fromkeys(keys)))
        return {key: decode(body) for key in keys if (body := bodies[key]) is not None}

    def _bodies(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        unit = self._unit
        known = unit.known if unit is not None else {}
        missing = [key for key in keys if key not in known]
        if missing:
            found = self._select(_select(len(missing)), list(chain.from_iterable(missing)))
            known.update(dict.fromkeys(missing))
            known.update((Key(pk, sk), body) for pk, sk, body in found)
        return known

    def _rows(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        if self._unit is not None and self._unit.pending:
            self._guarded(partial(self._write_pending, self._unit))
        return self._select(statement, parameters)

    def _select(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            unavailable = self._unavailable(error)
            # After some I/O errors SQLite has rolled back by itself: later writes would be committed one by one.
            if self._unit is not None and not self._connection.in_transaction:
                self._abandon(unavailable)
            raise unavailable from error

    # Writing.

    def _apply(self, writes: Sequence[Write]) -> dict[Key, Row]:
        """Add all writes to the unit, or none, and return the rows written."""
        check_updates(writes)
        by_key = writes_by_key(writes)
        # Encoded before the write lock is taken: other processes wait for it.
        rows = {key: row_of(write.item) for key, write in by_key.items() if isinstance(write, Put)}
        self.begin()
        unit = self._unit
        assert unit is not None
        looked_at = [key for key, write in by_key.items() if self._depends_on_item(write)]
        bodies = self._bodies(looked_at) if looked_at else {}
        standing = {key: decode(body) for key in looked_at if (body := bodies[key]) is not None}
        _check_conditions(by_key, standing)
        for key, write in by_key.items():
            if isinstance(write, Update):
                rows[key] = row_of(updated(standing.get(key), write))
        # From here on nothing fails: a refused transaction has left the unit as it was.
        for key, write in by_key.items():
            row = rows.get(key)
            unit.write(key, row)
            if row is not None and key not in standing and not isinstance(write, Delete):
                self._add_to_stream(unit, row)
        return rows

    def _add_to_stream(self, unit: Unit, row: Row) -> None:
        if row.item["sk"] == "change":
            unit.changes.append(row.item)
        if self._streamed(row.item):
            unit.stream.append(row.body)

    def _depends_on_item(self, write: Write) -> bool:
        """Whether the standing item matters: for a condition, for an update, or to see that a change is new."""
        if write.condition is not None or isinstance(write, Update):
            return True
        return isinstance(write, Put) and self._streamed(write.item)

    def _write(self, statement: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        self.begin()
        if len(parameters) == 1:
            return self._guarded(lambda: self._connection.execute(statement, parameters[0]).fetchall())
        self._guarded(lambda: self._connection.executemany(statement, parameters))
        return []

    def _guarded(self, function: Callable[[], Result]) -> Result:
        """A statement that fails in the middle of a unit may have written half of its rows: drop the whole unit."""
        try:
            return function()
        except sqlite3.Error as error:
            unavailable = self._unavailable(error)
            self._abandon(unavailable)
            raise unavailable from error

    # The end of a unit.

    def _end_tick(self) -> None:
        if self._unit is not None:
            # Everyone who waits for the commit gets the error; the event loop has no use for it.
            with suppress(UnavailableError):
                self._commit()

    def _commit(self) -> None:
        """Commit the unit, or drop it and raise UnavailableError."""
        unit = self._unit
        assert unit is not None
        try:
            self._store(unit)
        except sqlite3.Error as error:
            unavailable = self._unavailable(error)
            self._abandon(unavailable)
            raise unavailable from error
        self._unit = None
        self._announce(unit)

    def _store(self, unit: Unit) -> None:
        self._write_pending(unit)
        if unit.stream:
            self._connection.executemany("INSERT INTO stream (body) VALUES (?)", [(body,) for body in unit.stream])
        self._connection.execute("COMMIT")

    def _announce(self, unit: Unit) -> None:
        if self._checkpoints:
            self._checkpoints.wake()
        for function in unit.on_commit:
            _notify(function)
        if unit.changes:
            _notify(partial(self._on_changes, unit.changes))
        if unit.stream:
            _notify(self._on_stream)

    def _write_pending(self, unit: Unit) -> None:
        """Give the collected rows to SQLite's open transaction, in the order of their keys."""
        pending, unit.pending = unit.pending, {}
        rows = [row for _, row in sorted(pending.items(), key=_key_of) if row is not None]
        for first in range(0, len(rows), ROWS_PER_STATEMENT):
            some = rows[first : first + ROWS_PER_STATEMENT]
            values = list(chain.from_iterable((*row.columns, row.body) for row in some))
            self._connection.execute(_upsert(len(some)), values)
        if removed := [key for key, row in pending.items() if row is None]:
            self._connection.executemany("DELETE FROM items WHERE pk = ? AND sk = ?", removed)

    def _abandon(self, error: Exception) -> None:
        """Drop the unit: nothing of it is stored, and whoever waits for its commit gets `error`."""
        unit, self._unit = self._unit, None
        # After some errors, such as a full disk, SQLite has rolled back by itself.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for function in unit.on_failure if unit else ():
            _notify(partial(function, error))
        _notify(self._on_failure)

    def _unavailable(self, error: sqlite3.Error) -> UnavailableError:
        now = time.monotonic()
        if now - self._last_failure_logged >= FAILURE_LOG_INTERVAL_SECONDS:
            self._last_failure_logged = now
            logger.error("the data file cannot be used: %s", error)
        return UnavailableError()


def _notify(function: Callable[[], None]) -> None:
    """Call `function`. Its failure must not keep the others that wait for the same commit from their news."""
    try:
        function()
    except Exception:
        logger.exception("what follows a commit failed")


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _key_of(entry: tuple[Key, Row | None]) -> Key:
    return entry[0]


def _check_conditions(writes: Mapping[Key, Write], standing: Mapping[Key, Item]) -> None:
    failed = {
        position: standing.get(key)
        for position, (key, write) in enumerate(writes.items())
        if write.condition is not None and not holds(write.condition, standing.get(key, {}))
    }
    if failed:
        raise TransactionCanceledError(failed)


# Statements.


@cache
def _select(count: int) -> str:
    # A join, because `(pk, sk) IN (VALUES ...)` makes SQLite scan the whole table.
    values = ", ".join(repeat("(?, ?)", count))
    return (
        f"WITH wanted (wanted_pk, wanted_sk) AS (VALUES {values})"  # noqa: S608 - only our names
        " SELECT pk, sk, body FROM wanted CROSS JOIN items ON pk = wanted_pk AND sk = wanted_sk"
    )


@cache
def _upsert(count: int) -> str:
    row = f"({', '.join(repeat('?', len(COLUMNS) + 1))})"
    updates = ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS[2:], "body"))
    return (
        f"INSERT INTO items ({', '.join(COLUMNS)}, body) VALUES {', '.join(repeat(row, count))}"  # noqa: S608
        f" ON CONFLICT (pk, sk) DO UPDATE SET {updates}"
    )


@cache
def _selected(index: Index | None) -> str:
    """Return the columns of a query. One on an index returns what DynamoDB's index holds, and decodes no item."""
    if index is None:
        return "body"
    projected = [f"json_extract(body, '$.{name}')" for name in index.projected]
    return ", ".join(("pk", "sk", *index_columns(index), *projected))


@cache
def _layout(index: Index | None) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the partition's column, the columns that order it, and the attributes that these columns hold."""
    if index is None:
        return "pk", ("sk",), ("sk",)
    partition, sort = index_columns(index)
    return partition, (sort, "pk", "sk"), (index.sort, "pk", "sk")


def _bounds(
    order: Sequence[str], between: tuple[str, str] | None, after: tuple[str, ...] | None, *, forward: bool
) -> tuple[list[str], list[str]]:
    """Return SQL for both ends of a range: one term for each end, because SQLite seeks by one and filters by others."""
    onwards, back = (">", "<") if forward else ("<", ">")
    near, far = (between if forward else between[::-1]) if between else (None, None)
    clauses: list[str] = []
    parameters: list[str] = []
    if after is not None and (near is None or (after[0] >= near if forward else after[0] <= near)):
        clauses.append(f"({', '.join(order)}) {onwards} ({', '.join(repeat('?', len(order)))})")
        parameters += after
    elif near is not None:
        clauses.append(f"{order[0]} {onwards}= ?")
        parameters.append(near)
    if far is not None:
        clauses.append(f"{order[0]} {back}= ?")
        parameters.append(far)
    return clauses, parameters
