"""The Table port on one SQLite file, or in memory: the table of the embedded engine.

One connection serves every thread of the process, behind one lock. Other processes may open the same file.

Each method runs a few SQL statements, however many items it touches. The sqlite3 module releases the interpreter lock
at every row, and while another thread computes, it waits for a switch interval (5 ms by default) to get the lock back.
So statements with many parameters replace many statements.

Items are stored as JSON in the column `body`. The keys, the attributes of the indexes and `expires_at` have columns of
their own, which SQLite can search. See docs/decisions/0001-one-table.md.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from itertools import chain, repeat
from typing import Any, NamedTuple

import orjson

from convoke.storage.keys import INDEXES
from convoke.storage.table import (
    EXPIRES_AT,
    Add,
    And,
    Condition,
    ConditionFailedError,
    Contains,
    Delete,
    DeleteFromSet,
    Equals,
    Exists,
    Index,
    Item,
    Key,
    LessThan,
    NotExists,
    Or,
    Put,
    Remove,
    Set,
    TransactionCanceledError,
    Update,
    Value,
    Write,
    checked_writes,
)

APPLICATION_ID = 0x436F6E76
"""Marks a SQLite file as a Convoke data file: `Conv` in ASCII. The command `file` shows this number.

See https://sqlite.org/pragma.html#pragma_application_id.
"""

SCHEMA_VERSION = 4
"""The version of the tables below. Increment it if they change, or `keys.INDEXES`, which defines their columns."""

BUSY_TIMEOUT_SECONDS = 10
"""How long a write waits for the writes of other processes before it fails.

See https://sqlite.org/c3ref/busy_timeout.html.
"""

MAX_KEYS = 100
"""Keys per `get_many`: the limit of DynamoDB's BatchGetItem, so that code which passes here works there."""

MAX_EXPIRED_PER_PASS = 1000
"""Items removed per transaction. Other writers wait meanwhile, so the transaction must be short."""

# BEGIN IMMEDIATE takes the write lock at once. With a plain BEGIN, a transaction that reads first and writes later can
# fail with SQLITE_BUSY, whatever the timeout. See https://sqlite.org/lang_transaction.html.
_OUTER = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
# Transactions do not nest, but savepoints do. See https://sqlite.org/lang_savepoint.html.
_INNER = ("SAVEPOINT inner_", "RELEASE inner_", ("ROLLBACK TO inner_", "RELEASE inner_"))

MEMORY = ":memory:"
"""The path of a table in memory, which is lost when the table is closed."""


class DataFileError(Exception):
    """The data file cannot be used. The message is one line for the user."""


class _Row(NamedTuple):
    """An item with the values of its row."""

    item: Item
    columns: tuple[Value, ...]
    body: str


class SqliteTable:
    """Implements `Table` on SQLite.

    A committed transaction survives a crash of the process. After a power failure the file is consistent, but may lack
    the last transactions: see the pragma `synchronous` in `_prepare`.
    """

    def __init__(
        self,
        path: str,
        *,
        streamed: Callable[[Item], bool] = lambda item: False,  # noqa: ARG005
        on_stream: Callable[[], None] = lambda: None,
        schema: Sequence[str] = (),
    ) -> None:
        """Open or create the file. `path` may be `:memory:`. Raises DataFileError.

        When an item for which `streamed` returns True is stored for the first time, the same transaction appends it to
        the stream. After the commit, the thread that wrote calls `on_stream`, outside of the lock. `schema` creates
        tables of other modules in the same file (CREATE ... IF NOT EXISTS).
        """
        self._streamed = streamed
        self._on_stream = on_stream
        self._lock = threading.RLock()
        self._connection = _open(path, schema)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a write transaction: commit at its end, or roll back if it raises.

        Everything that the block reads and writes through this table is part of the transaction. A transaction inside
        another transaction is a savepoint: if it raises, only its own writes are undone.
        """
        with self._lock:
            begin, commit, undo = _INNER if self._connection.in_transaction else _OUTER
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute(commit)
            except BaseException:
                # After some errors, such as a full disk, SQLite has already rolled the transaction back.
                # See "Response To Errors Within A Transaction" in https://sqlite.org/lang_transaction.html.
                for statement in undo if self._connection.in_transaction else ():
                    self._connection.execute(statement)
                raise

    def get(self, key: Key) -> Item | None:
        rows = self._rows("SELECT body FROM items WHERE pk = ? AND sk = ?", key)
        return _decode(rows[0][0]) if rows else None

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if len(keys) > MAX_KEYS:
            raise ValueError(f"get_many must have at most {MAX_KEYS} keys, not {len(keys)}")
        with self._lock:
            return _fetch_items(self._connection, list(dict.fromkeys(keys)))

    def query(
        self,
        partition: str,
        *,
        limit: int,
        index: Index | None = None,
        between: tuple[str, str] | None = None,
        after: Item | None = None,
        forward: bool = True,
        consistent: bool = False,  # noqa: ARG002 - every read here is consistent
    ) -> list[Item]:
        if limit < 1:
            raise ValueError(f"the limit must be at least 1, not {limit}")
        column, order, names = _layout(index)
        position = tuple(str(after[name]) for name in names) if after else None
        clauses, parameters = _bounds(order, between, position, forward=forward)
        direction = "ASC" if forward else "DESC"
        rows = self._rows(
            f"SELECT body FROM items WHERE {' AND '.join([f'{column} = ?', *clauses])}"  # noqa: S608 - only our names
            f" ORDER BY {', '.join(f'{name} {direction}' for name in order)} LIMIT ?",
            (partition, *parameters, limit),
        )
        return [_decode(body) for (body,) in rows]

    def update(self, update: Update) -> Item:
        try:
            rows = self._write((update,))
        except TransactionCanceledError as error:
            raise ConditionFailedError(error.failed[0]) from None
        # Decode the stored text, so that the result shares no mutable value with the actions of the caller.
        return _decode(rows[update.key].body)

    def transact(self, writes: Sequence[Write]) -> None:
        self._write(checked_writes(writes))

    def stream_records(self, limit: int) -> list[tuple[int, Item]]:
        """Return the oldest records of the stream with their sequence numbers.

        Records stay until `delete_stream_records`, so a crash repeats them.
        """
        rows = self._rows("SELECT sequence, body FROM stream ORDER BY sequence LIMIT ?", (limit,))
        return [(sequence, _decode(body)) for sequence, body in rows]

    def delete_stream_records(self, up_to: int) -> None:
        """Delete the records up to and including this sequence number, after all of them were published."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM stream WHERE sequence <= ?", (up_to,))

    def remove_expired(self, now: datetime) -> None:
        """Remove up to 1,000 expired items. DynamoDB removes them by itself; here the sweeper calls this method.

        See docs/decisions/0021-embedded-sweeper-removes-expired.md.
        """
        expired = f"SELECT pk, sk FROM items WHERE {EXPIRES_AT} < ? LIMIT ?"  # noqa: S608 - only our names
        statement = f"DELETE FROM items WHERE (pk, sk) IN ({expired})"  # noqa: S608
        with self.transaction() as connection:
            connection.execute(statement, (int(now.timestamp()), MAX_EXPIRED_PER_PASS))

    def _rows(self, statement: str, parameters: Sequence[str | int]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def _write(self, writes: Sequence[Write]) -> dict[Key, _Row]:
        """Apply all writes or none, and return the rows that were written, by key."""
        _check_updates(writes)
        by_key = {write.key: write for write in writes}
        needed = [key for key, write in by_key.items() if self._needs_current_item(write)]
        deleted = [key for key, write in by_key.items() if isinstance(write, Delete)]
        # Encode before the transaction begins, because other writers wait while it lasts.
        rows = {key: _row(write.item) for key, write in by_key.items() if isinstance(write, Put)}
        with self.transaction() as connection:
            current = _fetch_items(connection, needed)
            _check_conditions(by_key, current)
            for key, write in by_key.items():
                if isinstance(write, Update):
                    rows[key] = _row(_apply_update(current.get(key), write))
            stream = [row.body for key, row in rows.items() if key not in current and self._streamed(row.item)]
            _store(connection, rows.values(), stream)
            _remove(connection, deleted)
        if stream:
            self._on_stream()
        return rows

    def _needs_current_item(self, write: Write) -> bool:
        """Return whether a write depends on the current item: for a condition, an update, or the stream."""
        if write.condition is not None or isinstance(write, Update):
            return True
        return isinstance(write, Put) and self._streamed(write.item)


# Open and create the file.


def _open(path: str, schema: Sequence[str]) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        if path != MEMORY:
            # Only the owner may read the file: it contains Auth Tokens and messages. SQLite creates the -wal and -shm
            # files with the same mode. See https://sqlite.org/wal.html.
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
        # isolation_level=None leaves BEGIN and COMMIT to this module. The lock of the table makes it safe to use the
        # connection on many threads. The statement cache holds the variants of `_select`, `_upsert` and `_delete`.
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        _prepare(connection, path, schema)
    except BaseException as error:
        if connection:
            connection.close()
        if not isinstance(error, sqlite3.Error | OSError):
            raise
        if isinstance(error, sqlite3.Error) and error.sqlite_errorname == "SQLITE_NOTADB":
            raise _not_a_data_file(path) from error
        raise DataFileError(
            f"{path} cannot be opened ({error}): check that its folder exists and that the file is writable."
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: str, schema: Sequence[str]) -> None:
    # Check before the first write, so that the file of another program stays unchanged.
    if _is_new(connection, path):
        _switch_to_wal(connection)
    # In WAL mode, NORMAL calls fsync once per checkpoint instead of once per commit. A crash of the process loses
    # nothing. A power failure may lose the last commits. See https://sqlite.org/pragma.html#pragma_synchronous.
    connection.execute("PRAGMA synchronous = NORMAL")
    # A statement that changes several rows keeps a journal to undo it if it fails half-way. In memory, this saves a
    # temporary file per statement. See https://sqlite.org/tempfiles.html.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    # Check again inside the transaction, because another process may have created the tables meanwhile.
    if _is_new(connection, path):
        for statement in _create_statements():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # Write this at every start, so that a read-only file fails now and not at the first request.
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in schema:
        connection.execute(statement)
    connection.execute("COMMIT")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Write-ahead logging: readers of other processes do not block writes, and a commit is one append to a file. See
    # https://sqlite.org/wal.html. SQLite does not apply the busy timeout to this statement, so retry it here.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _is_new(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether the file is empty.

    Raises DataFileError if the file belongs to another program or another version of Convoke.
    """
    application_id, version, in_use = connection.execute(
        "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application_id == APPLICATION_ID and version != SCHEMA_VERSION:
        raise DataFileError(
            f"{path} was written by another version of Convoke (data format {version}, not {SCHEMA_VERSION}):"
            " run that version, or choose another path to start without data."
        )
    if application_id != APPLICATION_ID and (application_id or version or in_use):
        raise _not_a_data_file(path)
    return not in_use


def _not_a_data_file(path: str) -> DataFileError:
    return DataFileError(f"{path} is not a Convoke data file: choose another path, or move the file away.")


def _create_statements() -> list[str]:
    columns = ["pk TEXT NOT NULL", "sk TEXT NOT NULL"]
    for index in INDEXES:
        columns += [f"{name} TEXT" for name in _index_columns(index)]
    columns.append(f"{EXPIRES_AT} INTEGER")
    # WITHOUT ROWID stores the rows in the order of the primary key, so a lookup by key is one search instead of two,
    # and a partition is read in sequence. See https://sqlite.org/withoutrowid.html.
    statements = [f"CREATE TABLE items ({', '.join(columns)}, body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID"]
    for index in INDEXES:
        partition, sort = _index_columns(index)
        # Partial indexes, because most items are in none of the indexes. See https://sqlite.org/partialindex.html.
        statements.append(
            f"CREATE INDEX items_{index.name} ON items ({partition}, {sort}, pk, sk) WHERE {partition} IS NOT NULL"
        )
    statements.append(f"CREATE INDEX items_{EXPIRES_AT} ON items ({EXPIRES_AT}) WHERE {EXPIRES_AT} IS NOT NULL")
    # AUTOINCREMENT never reuses a sequence number, even of deleted rows. So deleting up to a number twice never deletes
    # later records. See https://sqlite.org/autoinc.html.
    statements.append("CREATE TABLE stream (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    return statements


def _index_columns(index: Index) -> tuple[str, str]:
    return f"{index.name}_partition", f"{index.name}_sort"


# Run statements.


def _fetch_items(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Item]:
    if not keys:
        return {}
    rows = connection.execute(_select(len(keys)), list(chain.from_iterable(keys))).fetchall()
    return {Key(pk, sk): _decode(body) for pk, sk, body in rows}


def _store(connection: sqlite3.Connection, rows: Collection[_Row], stream: Sequence[str]) -> None:
    if rows:
        values = list(chain.from_iterable((*row.columns, row.body) for row in rows))
        connection.execute(_upsert(len(rows)), values)
    if stream:
        connection.executemany("INSERT INTO stream (body) VALUES (?)", [(body,) for body in stream])


def _remove(connection: sqlite3.Connection, keys: Sequence[Key]) -> None:
    if keys:
        connection.execute(_delete(len(keys)), list(chain.from_iterable(keys)))


@cache
def _select(count: int) -> str:
    # `(pk, sk) IN (VALUES ...)` cannot use the primary key and scans the whole table. A join searches it for each key.
    # CROSS JOIN fixes the order of the loops. See https://sqlite.org/optoverview.html.
    values = ", ".join(repeat("(?, ?)", count))
    return (
        f"WITH wanted (wanted_pk, wanted_sk) AS (VALUES {values})"  # noqa: S608 - only our names
        " SELECT pk, sk, body FROM wanted CROSS JOIN items ON pk = wanted_pk AND sk = wanted_sk"
    )


@cache
def _upsert(count: int) -> str:
    columns = [*chain.from_iterable(map(_index_columns, INDEXES)), EXPIRES_AT, "body"]
    row = f"({', '.join(repeat('?', 2 + len(columns)))})"
    # INSERT OR REPLACE would delete the old row and insert a new one, with every index entry. An upsert updates the
    # row in place. See https://sqlite.org/lang_upsert.html.
    return (
        f"INSERT INTO items (pk, sk, {', '.join(columns)}) VALUES {', '.join(repeat(row, count))}"  # noqa: S608
        f" ON CONFLICT (pk, sk) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)}"
    )


@cache
def _delete(count: int) -> str:
    # Each term of the OR searches the primary key. See https://sqlite.org/optoverview.html.
    return f"DELETE FROM items WHERE {' OR '.join(repeat('pk = ? AND sk = ?', count))}"  # noqa: S608


def _layout(index: Index | None) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the partition's column, the columns that sort a partition, and the attributes that these columns hold."""
    if index is None:
        return "pk", ("sk",), ("sk",)
    partition, sort = _index_columns(index)
    return partition, (sort, "pk", "sk"), (index.sort, "pk", "sk")


def _bounds(
    order: Sequence[str], between: tuple[str, str] | None, after: tuple[str, ...] | None, *, forward: bool
) -> tuple[list[str], list[str]]:
    """Return the SQL conditions for the start and the end of a range, and their parameters.

    There is at most one condition for each end. SQLite searches the index with one, and with a second one it would scan
    the rows that the second excludes.
    """
    beyond, before = (">", "<") if forward else ("<", ">")
    near, far = (between if forward else between[::-1]) if between else (None, None)
    clauses: list[str] = []
    parameters: list[str] = []
    # The position of the page counts if it lies inside the range. Otherwise the range begins further on.
    if after is not None and (near is None or (after[0] >= near if forward else after[0] <= near)):
        # A row value comparison, which an index can answer. See https://sqlite.org/rowvalue.html.
        clauses.append(f"({', '.join(order)}) {beyond} ({', '.join(repeat('?', len(order)))})")
        parameters += after
    elif near is not None:
        clauses.append(f"{order[0]} {beyond}= ?")
        parameters.append(near)
    if far is not None:
        clauses.append(f"{order[0]} {before}= ?")
        parameters.append(far)
    return clauses, parameters


# Convert items to rows. JSON has no sets: a set becomes {"$set": [0.0, ...]}. Attributes never hold floats, so the 0.0
# distinguishes a set from a dictionary with the key `$set`.


def _row(item: Item) -> _Row:
    columns: list[Value] = [item["pk"], item["sk"]]
    for index in INDEXES:
        columns += _index_values(item, index)
    return _Row(item, (*columns, item.get(EXPIRES_AT)), _encode(item))


def _index_values(item: Item, index: Index) -> Sequence[str | None]:
    # As in DynamoDB, an item that lacks one of the attributes is not in the index.
    partition, sort = item.get(index.partition, ""), item.get(index.sort, "")
    if not (isinstance(partition, str) and isinstance(sort, str)):
        raise ValueError(  # noqa: TRY004 - as for every invalid argument
            f"the index attributes {index.partition} and {index.sort} must be strings"
        )
    return (partition, sort) if partition and sort else (None, None)


def _encode(item: Item) -> str:
    """Return an item as JSON. Raises TypeError for values that no attribute can hold, such as numbers over 64 bits."""
    return orjson.dumps(item, default=_set_to_json, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _set_to_json(value: object) -> dict[str, list[float | str]]:
    if not isinstance(value, (set, frozenset)) or not value:
        raise ValueError(f"no attribute can hold {value!r}")
    return {"$set": [0.0, *sorted(value)]}


def _decode(body: str) -> Item:
    item: Item = orjson.loads(body)
    # Most items have no sets. Searching the text is cheaper than walking the item.
    return _with_sets(item) if '"$set"' in body else item


def _with_sets(value: Any) -> Any:
    match value:
        case {"$set": [float(), *elements]}:
            return set(elements)
        case dict():
            return {name: _with_sets(part) for name, part in value.items()}
        case list():
            return [_with_sets(part) for part in value]
        case _:
            return value


# Evaluate conditions.


def _check_conditions(writes: Mapping[Key, Write], current: Mapping[Key, Item]) -> None:
    failed = {
        position: current.get(key)
        for position, (key, write) in enumerate(writes.items())
        if write.condition is not None and not _holds(write.condition, current.get(key, {}))
    }
    if failed:
        raise TransactionCanceledError(failed)


def _holds(condition: Condition, item: Item) -> bool:
    match condition:
        case Exists(name):
            return name in item
        case NotExists(name):
            return name not in item
        case Equals(name, value):
            return name in item and _equal(item[name], value)
        case LessThan(name, value):
            return _less(item.get(name), value)
        case Contains(name, value):
            current = item.get(name)
            return isinstance(current, set) and value in current
        case And(conditions):
            return all(_holds(part, item) for part in conditions)
        case Or(conditions):
            return any(_holds(part, item) for part in conditions)


def _equal(one: Value, other: Value) -> bool:
    """Compare two values. Unlike in Python, 1 and True differ, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    return one == other


def _less(current: Value, value: str | int) -> bool:
    # DynamoDB compares the UTF-8 bytes of strings. Python compares code points, which gives the same order.
    if isinstance(value, str):
        return isinstance(current, str) and current < value
    return isinstance(current, int) and not isinstance(current, bool) and current < value


# Apply the actions of updates.


def _check_updates(writes: Iterable[Write]) -> None:
    """Raise ValueError for an update that DynamoDB refuses."""
    for update in writes:
        if not isinstance(update, Update):
            continue
        names = {action.name for action in update.actions}
        if not names or len(names) < len(update.actions):
            raise ValueError("an update must have at least one action, and at most one per attribute")
        if names & {"pk", "sk"}:
            raise ValueError("an update must not change the key of an item")


def _apply_update(current: Item | None, update: Update) -> Item:
    item: Item = {"pk": update.key.pk, "sk": update.key.sk} if current is None else dict(current)
    for action in update.actions:
        match action:
            case Set(name, value):
                item[name] = value
            case Remove(name):
                item.pop(name, None)
            case Add(name, value):
                item[name] = _sum(item.get(name), value, name)
            case DeleteFromSet(name, values):
                _delete_from_set(item, name, values)
    return item


def _sum(current: Value, value: int | frozenset[str], name: str) -> Value:
    if isinstance(value, frozenset) and (current is None or isinstance(current, set)):
        return (current or set()) | value
    if isinstance(value, int) and (current is None or (isinstance(current, int) and not isinstance(current, bool))):
        return value + (current or 0)
    raise ValueError(f"{value!r} cannot be added to the attribute {name}")


def _delete_from_set(item: Item, name: str, values: frozenset[str]) -> None:
    current = item.get(name, set())
    if not isinstance(current, set):
        raise ValueError(f"the attribute {name} is not a set")  # noqa: TRY004 - as for every invalid argument
    rest = current - values
    if rest:
        item[name] = rest
    else:
        # As in DynamoDB, an attribute cannot hold an empty set.
        item.pop(name, None)
