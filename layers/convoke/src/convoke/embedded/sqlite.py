"""Implement the port `Table` on SQLite. All writes in one tick of the event loop form one unit of work.

The first write in a tick takes SQLite's write lock (`BEGIN IMMEDIATE`) and opens a unit of work. The unit collects rows
in memory. At the end of the tick, the table writes and commits all rows. Before a query, the table writes the collected
rows, so that the query finds them. A unit with at least MAX_ROWS rows (embedded/unit.py) is committed before the end of
the tick. If the table drops a unit, none of its writes is stored. See docs/decisions/0068-one-unit-of-work-a-tick.md.

Conditions are checked on data that was read under the write lock. Therefore no other process can change the data
between the check and the commit.

Without an event loop, the table commits each write immediately. The writes in a `unit()` block are committed together
at the end of the block.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from convoke.domain.errors import UnavailableError
from convoke.embedded.checkpoints import Checkpoints
from convoke.embedded.data_format import MEMORY, Synchronous, open_data_file
from convoke.embedded.evaluation import check_updates, holds, updated
from convoke.embedded.failures import StorageFailures
from convoke.embedded.rows import Row, decode, row_of
from convoke.embedded.statements import query_items, select_items, upsert_items
from convoke.embedded.suspension import RUN_AGAIN_PAUSE_SECONDS, RunAgainError
from convoke.embedded.unit import MAX_ROWS, Unit, new_unit
from convoke.storage.table import (
    EXPIRES_AT,
    ConditionFailedError,
    Index,
    Item,
    Key,
    Put,
    TransactionCanceledError,
    Update,
    Write,
    batches_of_keys,
    writes_by_key,
)

logger = logging.getLogger(__name__)

MAX_EXPIRED_PER_PASS = 1000
"""The maximum number of items that one call of `remove_expired` removes.

There is a maximum, because the call blocks all other writes.
"""

ROWS_PER_STATEMENT = 25
"""The maximum number of rows in one INSERT statement. A few large statements are faster than many small statements."""

LOCK_TIMEOUT_SECONDS = 5.0
"""How long a thread waits while another process holds the write lock."""

Result = TypeVar("Result")


class DataFileGoneError(sqlite3.OperationalError):
    """Somebody removed or replaced the data file while it was open."""


class SqliteTable:
    """Implements `Table`.

    The stream is the SQLite table `stream`, which replaces the stream of a DynamoDB table. It contains the new items
    with events that the engine must still publish.

    A crash of the process never loses a commit. A power failure never damages the file. With `Synchronous.NORMAL`,
    SQLite calls fsync for each checkpoint but not for each commit, so a power failure may lose the last commits. With
    `Synchronous.FULL`, a power failure loses no commit.

    If somebody removes or replaces the data file, SQLite continues to write to the removed file. Therefore the table
    checks the path before each commit, and drops the unit if the file is gone.
    """

    def __init__(
        self,
        path: str,
        *,
        streamed: Callable[[Item], bool] = lambda item: False,  # noqa: ARG005
        on_stream: Callable[[int], None] = lambda _: None,
        on_changes: Callable[[Sequence[Item]], None] = lambda items: None,  # noqa: ARG005
        on_failure: Callable[[], None] = lambda: None,
        on_gone: Callable[[], None] = lambda: None,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
        synchronous: Synchronous = Synchronous.NORMAL,
    ) -> None:
        """Open the data file at `path`. If `path` is `:memory:`, the data disappears when the table is closed.

        - `streamed`: returns whether the commit of a new item also appends the item to the stream.
        - `on_stream`: called after each commit that adds records to the stream. The argument is the number of new
          records.
        - `on_changes`: called after each commit that stores change records (see `Unit.changes`). The argument is the
          list of these change records.
        - `on_failure`: called after a unit is dropped.
        - `on_gone`: called whenever the table finds that the data file was removed or replaced.
        - `lock_timeout`: the maximum number of seconds that a thread waits while another process holds the write lock.
        """
        self._streamed = streamed
        self._on_stream = on_stream
        self._on_changes = on_changes
        self._on_failure = on_failure
        self._lock_timeout = lock_timeout
        self._lock = threading.RLock()
        """If no event loop owns the table, a thread must hold this lock to use the connection."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        """The id of the event loop's thread. 0 without an event loop."""
        self._unit: Unit | None = None
        self._held = 0
        """How many `unit()` blocks are open."""
        self._is_closed = False
        self._connection = open_data_file(path, synchronous)
        self._path = path
        self._on_gone = on_gone
        self._file = _identity(path) if path != MEMORY else None
        self._failures = StorageFailures()
        self._checkpoints = Checkpoints(path, self._failures) if path != MEMORY else None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the table to `loop`. After that, only the calling thread may use the connection.

        The calling thread must run `loop`. From now on, checkpoints of the data file run on a thread of their own.
        """
        self._owner, self._loop = threading.get_ident(), loop
        if self._checkpoints:
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._checkpoints.start()

    def detach(self) -> None:
        """Commit the open unit, and allow every thread to use the connection again.

        Call this method when the event loop ends.
        """
        if not self._held:
            self._end_tick()
        self._owner, self._loop = 0, None

    def close(self) -> None:
        """Drop the open unit, and close the data file.

        After that, every read and every write raises UnavailableError.
        """
        if self._checkpoints:
            self._checkpoints.stop()
        with self._lock:
            self._is_closed = True
            if self._unit is not None:
                self._abandon(UnavailableError())
            self._connection.close()

    def check_data_file(self) -> None:
        """If the data file was removed or replaced, call `on_gone` and raise UnavailableError."""
        try:
            self._check_data_file()
        except DataFileGoneError as error:
            raise self._failures.unavailable(error) from error

    def _check_data_file(self) -> None:
        if self._file is not None and _identity(self._path) != self._file:
            self._on_gone()
            raise DataFileGoneError(f"{self._path} was removed or replaced")

    def get(self, key: Key) -> Item | None:
        return self._run(partial(self._get, key))

    def get_many(
        self,
        keys: Sequence[Key],
        *,
        consistent: bool = True,  # noqa: ARG002 - every read is consistent
    ) -> dict[Key, Item]:
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
        consistent: bool = False,  # noqa: ARG002 - every read is consistent
    ) -> list[Item]:
        if limit < 1:
            raise ValueError(f"a page holds at least one item, not {limit}")
        statement, parameters = query_items(partition, index=index, between=between, after=after, forward=forward)
        rows = self.rows(statement, (*parameters, limit))
        if index is None:
            return [decode(body) for (body,) in rows]
        attributes = ("pk", "sk", index.partition, index.sort, *index.projected)
        return [{name: value for name, value in zip(attributes, row, strict=True) if value is not None} for row in rows]

    def update(self, update: Update) -> Item:
        try:
            row = self._run(partial(self._apply, (update,)))[update.key]
        except TransactionCanceledError as error:
            raise ConditionFailedError(error.failed[0]) from None
        assert row is not None
        # Decode the JSON. The returned item must not share a list object with `update`.
        return decode(row.body)

    def transact(self, writes: Sequence[Write]) -> None:
        self._run(partial(self._apply, writes))

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Commit all writes in the `with` block as one unit. If the block raises an exception, drop the unit.

        If an event loop owns the table, only the event loop's thread may use this context manager. The context manager
        then does nothing, because each tick has its own unit.
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
        """Call `function` on the thread that owns the table, and return the result.

        Without an event loop, the calling thread owns the table.

        On the event loop's thread, this method waits neither for the write lock nor for the commit. If another process
        holds the write lock, the method raises RunAgainError.

        On any other thread, this method returns after the commit, unless a `unit()` block is open. If the wait for the
        write lock exceeds the lock timeout, the method raises UnavailableError.
        """
        return self._run(function)

    def after_commit(self, function: Callable[[], None]) -> None:
        """Call `function` after the commit of the open unit. Without an open unit, call `function` immediately.

        If the unit is dropped, `function` is never called.
        """
        if self._unit is None:
            function()
        else:
            self._unit.on_commit.append(function)

    def on_failure(self, function: Callable[[], None]) -> None:
        """Call `function` if the open unit is dropped. Without an open unit, do nothing."""
        if self._unit is not None:
            self._unit.on_failure.append(lambda _: function())

    def committed(self) -> asyncio.Future[None] | None:
        """Return a future for the commit of the open unit. Return None if no unit is open, or without an event loop.

        If the commit fails, the future raises UnavailableError. A response may show data of the open unit, so
        `RequestRunner` waits for the future before it returns the response.
        """
        if self._unit is None or self._loop is None:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._unit.on_commit.append(partial(_succeed, future))
        self._unit.on_failure.append(partial(_fail, future))
        self.commit_if_full()
        return future

    def commit_if_full(self) -> None:
        """Commit the open unit now, before the end of the tick, if it has at least MAX_ROWS rows.

        Do nothing in a `unit()` block. Call this method only between two operations, because all writes of an operation
        must be in one unit. Suppose that this method committed the first write of an operation. Before the second
        write, another process could take the write lock. The operation could then not run again, because its first
        write would already be stored. The operation would also not notice a failure of the first commit.
        """
        if self._unit is not None and self._unit.rows >= MAX_ROWS and not self._held:
            self._end_tick()

    def begin(self) -> None:
        """Take the write lock and open a unit. Do nothing if a unit is already open.

        Raise RunAgainError if another process holds the write lock. Raise UnavailableError if the data file fails.
        """
        if self._unit is not None:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if _is_busy(error):
                raise RunAgainError from error
            raise self._failures.unavailable(error) from error
        self._unit = new_unit()
        if self._loop is not None:
            self._loop.call_soon(self._end_tick)

    def write(self, statement: str, *parameters: Sequence[Any]) -> list[Any]:
        """Run a statement once for each element of `parameters`, as part of the unit.

        If `parameters` has exactly one element, return the rows that the statement returns. Otherwise return an empty
        list.
        """
        return self._run(partial(self._write, statement, parameters))

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a SELECT statement, and return the rows.

        The statement also finds the rows of the open unit, except the unit's new records in the table `stream`.
        """
        return self._run(partial(self._rows, statement, parameters))

    def rows_outside_items(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Do the same as `rows` for a statement that does not read the table `items`.

        This method does not write the new items of the open unit. Therefore the unit can still write all its items with
        one statement.
        """
        return self._run(partial(self._select, statement, parameters))

    def clear(self) -> None:
        """Delete all rows in the data file, and the rows that the open unit has not yet written.

        Call this method at the start of a unit that then adds new items.
        """
        self._run(self._clear)

    def _clear(self) -> None:
        self.begin()
        unit = self._unit
        assert unit is not None
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (name,) in self._select(tables, ()):
            self._write(f"DELETE FROM {name}", [()])  # noqa: S608 - the name of a table
        for rows in (unit.pending, unit.known, unit.stream, unit.changes):
            rows.clear()

    def stream_records(self, limit: int) -> list[tuple[int, Item]]:
        """Return at most `limit` records of the stream with their sequence numbers, oldest first.

        The records stay in the stream until `delete_stream_records` removes them. If the process crashes before that,
        the records are published again.
        """
        records = self.rows_outside_items("SELECT sequence, body FROM stream ORDER BY sequence LIMIT ?", (limit,))
        return [(sequence, decode(body)) for sequence, body in records]

    def delete_stream_records(self, sequences: Sequence[int]) -> None:
        """Remove published records from the stream."""
        self.write("DELETE FROM stream WHERE sequence = ?", *((sequence,) for sequence in sequences))

    def remove_expired(self, now: datetime) -> None:
        """Remove at most MAX_EXPIRED_PER_PASS expired items. An item has expired if its `expires_at` is before `now`.

        The engine must call this method regularly. On AWS, DynamoDB removes expired items by itself.
        """
        self._run(partial(self._remove_expired, int(now.timestamp())))

    def _remove_expired(self, seconds: int) -> None:
        expired = f"SELECT pk, sk FROM items WHERE {EXPIRES_AT} < ? LIMIT ?"  # noqa: S608 - only constants
        if self._rows(expired, (seconds, 1)):
            statement = f"DELETE FROM items WHERE (pk, sk) IN ({expired})"  # noqa: S608
            self._write(statement, [(seconds, MAX_EXPIRED_PER_PASS)])
            if self._unit is not None:
                # `known` may contain removed items.
                self._unit.known.clear()

    def _run(self, function: Callable[[], Result]) -> Result:
        owner = self._owner
        if not owner:
            return self._run_here(function)
        if owner == threading.get_ident():
            return function()
        return self._run_on_loop(function)

    def _run_here(self, function: Callable[[], Result]) -> Result:
        """Call `function` on the calling thread. Then commit the unit, unless a `unit()` block is open."""
        with self._lock:
            if self._is_closed:
                # The engine has stopped while this thread was working. The data file has not failed, so log nothing.
                raise UnavailableError
            try:
                result = self._when_unlocked(function)
            except Exception:
                # A refused write has not changed the unit. Commit the unit now, to release the write lock.
                self._commit_unless_held()
                raise
            except BaseException:
                # An exception such as KeyboardInterrupt may have interrupted a write, so drop the unit.
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
        """Call `function` for another thread. After the commit, `future` gets the result or the exception.

        If the unit is dropped, `future` gets the error that caused the drop.
        """
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
        """Call `function` and return the result. If `function` raises RunAgainError, call `function` again.

        Raise UnavailableError after the lock timeout.
        """
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                return function()
            except RunAgainError as error:
                if time.monotonic() > deadline:
                    raise self._failures.unavailable(error.__cause__ or error) from error
                time.sleep(RUN_AGAIN_PAUSE_SECONDS)

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
        found: dict[Key, Item] = {}
        for batch in batches_of_keys(keys):
            bodies = self._bodies(batch)
            found |= {key: decode(body) for key in batch if (body := bodies[key]) is not None}
        return found

    def _bodies(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        unit = self._unit
        known = unit.known if unit is not None else {}
        missing = [key for key in keys if key not in known]
        if missing:
            found = self._select(select_items(len(missing)), list(chain.from_iterable(missing)))
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
            if self._unit is None and _is_busy(error):
                raise RunAgainError from error
            unavailable = self._failures.unavailable(error)
            # After some I/O errors, SQLite rolls back the transaction by itself. Without a transaction, SQLite would
            # commit each further statement of the unit separately, so drop the unit.
            if self._unit is not None and not self._connection.in_transaction:
                self._abandon(unavailable)
            raise unavailable from error

    def _apply(self, writes: Sequence[Write]) -> dict[Key, Row | None]:
        """Add all writes to the unit. If a condition fails, add no writes, and raise TransactionCanceledError.

        Return the added rows by key. The value None means that the row is deleted.
        """
        check_updates(writes)
        by_key = writes_by_key(writes)
        # Encode the items before `begin` takes the write lock, so that other processes wait less. None marks a row that
        # is deleted, or the row of an Update, which is encoded below.
        rows = {key: row_of(write.item) if isinstance(write, Put) else None for key, write in by_key.items()}
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
        # Only the statements above can fail, and these statements add no writes to the unit. A refused transaction
        # therefore stores nothing.
        unit.write(rows)
        self._add_to_stream(unit, [row for key, row in rows.items() if row is not None and key not in standing])
        return rows

    def _add_to_stream(self, unit: Unit, rows: Sequence[Row]) -> None:
        unit.changes += [row.item for row in rows if row.item["sk"] == "change"]
        unit.stream += [row.body for row in rows if self._streamed(row.item)]

    def _depends_on_item(self, write: Write) -> bool:
        """Return whether the result of a write depends on the existing item.

        This is true for an `Update` and for every write with a condition. It is also true for a `Put` of a streamed
        item, because only new items are appended to the stream.
        """
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
        """Call `function`. If SQLite fails, drop the whole unit, because SQLite may already have written some rows."""
        try:
            return function()
        except sqlite3.Error as error:
            unavailable = self._failures.unavailable(error)
            self._abandon(unavailable)
            raise unavailable from error

    def _end_tick(self) -> None:
        if self._unit is not None:
            # Ignore the error here, because every caller that waits for the commit gets the error.
            with suppress(UnavailableError):
                self._commit()

    def _commit(self) -> None:
        """Commit the unit. If the commit fails, drop the unit and raise UnavailableError."""
        unit = self._unit
        assert unit is not None
        try:
            self._store(unit)
        except sqlite3.Error as error:
            unavailable = self._failures.unavailable(error)
            self._abandon(unavailable)
            raise unavailable from error
        self._unit = None
        unit.is_open = False
        self._announce(unit)

    def _store(self, unit: Unit) -> None:
        self._check_data_file()
        self._write_pending(unit)
        if unit.stream:
            self._connection.executemany("INSERT INTO stream (body) VALUES (?)", [(body,) for body in unit.stream])
        self._connection.execute("COMMIT")

    def _announce(self, unit: Unit) -> None:
        if self._checkpoints:
            self._checkpoints.wake()
        # Call `on_changes` first. This call ends the subscriptions of removed members before the functions below notify
        # chat clients.
        if unit.changes:
            _notify(partial(self._on_changes, unit.changes))
        for function in unit.on_commit:
            _notify(function)
        if unit.stream:
            _notify(partial(self._on_stream, len(unit.stream)))

    def _write_pending(self, unit: Unit) -> None:
        """Write the collected rows in key order, inside SQLite's open transaction.

        Then delete the rows that the unit removes.
        """
        pending, unit.pending = unit.pending, {}
        rows = [row for _, row in sorted(pending.items(), key=itemgetter(0)) if row is not None]
        for first in range(0, len(rows), ROWS_PER_STATEMENT):
            some = rows[first : first + ROWS_PER_STATEMENT]
            self._connection.execute(upsert_items(len(some)), [value for row in some for value in row.columns])
        if removed := [key for key, row in pending.items() if row is None]:
            self._connection.executemany("DELETE FROM items WHERE pk = ? AND sk = ?", removed)

    def _abandon(self, error: Exception) -> None:
        """Drop the open unit. None of its writes is stored. Callers that wait for the commit get `error`."""
        unit, self._unit = self._unit, None
        if unit is not None:
            unit.is_open = False
        # After some errors, such as a full disk, SQLite has already rolled back the transaction by itself.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for function in unit.on_failure if unit else ():
            _notify(partial(function, error))
        _notify(self._on_failure)


def _identity(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of a file. Return None if the file does not exist or is not accessible."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _notify(function: Callable[[], None]) -> None:
    """Call `function`. If `function` fails, only log the failure, so that the next functions are still called."""
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


def _is_busy(error: sqlite3.Error) -> bool:
    """Return whether `error` means that another process holds a lock, for example to recover the write-ahead log."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def _check_conditions(writes: Mapping[Key, Write], standing: Mapping[Key, Item]) -> None:
    failed = {
        position: standing.get(key)
        for position, (key, write) in enumerate(writes.items())
        if write.condition is not None and not holds(write.condition, standing.get(key, {}))
    }
    if failed:
        raise TransactionCanceledError(failed)
