"""The Table port on one SQLite file, or in memory: the embedded engine.

One connection serves every thread of the process, behind one lock; other processes may open the same file. Each verb
is a handful of SQL statements, however many items it touches: `sqlite3` gives the interpreter lock up for each row it
steps over and, while other threads compute, waits a switch interval (5 ms) to get it back.
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
"""Marks a SQLite file as Convoke's (`Conv` in ASCII); `file` and other tools show it."""

SCHEMA_VERSION = 4
"""Counts up with every change of the tables below or of `keys.INDEXES`, which their columns are made from."""

BUSY_TIMEOUT_SECONDS = 10
"""How long a write waits for those of other processes before it fails."""

MAX_KEYS = 100

MAX_EXPIRED_PER_PASS = 1000
"""Items removed at a time, as nobody else can write meanwhile."""

_OUTER = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_INNER = ("SAVEPOINT inner_", "RELEASE inner_", ("ROLLBACK TO inner_", "RELEASE inner_"))

MEMORY = ":memory:"
"""The path of a table that ends with its object."""


class DataFileError(Exception):
    """The file cannot hold Convoke's data. The message is one line for whoever named the path."""


class _Row(NamedTuple):
    item: Item
    columns: tuple[Value, ...]
    body: str


class SqliteTable:
    """Implements `Table`. `path` may be `:memory:`, which ends with the object.

    In the transaction that first stores an item for which `streamed` holds, the item is appended to the stream as
    well; `on_stream` is called after such a commit, outside the lock, by the thread that wrote. `schema` creates the
    tables that another module keeps in the same file (CREATE ... IF NOT EXISTS).

    A commit survives the end of the process at any moment. After a loss of power the file is whole, but may lack the
    last commits (`synchronous=NORMAL`: one fsync a checkpoint in place of one a commit).
    """

    def __init__(
        self,
        path: str,
        *,
        streamed: Callable[[Item], bool] = lambda item: False,  # noqa: ARG005
        on_stream: Callable[[], None] = lambda: None,
        schema: Sequence[str] = (),
    ) -> None:
        self._streamed = streamed
        self._on_stream = on_stream
        self._lock = threading.RLock()
        self._connection = _open(path, schema)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection inside one write transaction: committed at the end, rolled back by an exception.

        Whatever else the block reads and writes through this table is part of the transaction. What fails inside
        another one undoes its own writes only.
        """
        with self._lock:
            begin, commit, undo = _INNER if self._connection.in_transaction else _OUTER
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute(commit)
            except BaseException:
                # After some errors, as of a full disk, SQLite has undone everything already.
                for statement in undo if self._connection.in_transaction else ():
                    self._connection.execute(statement)
                raise

    def get(self, key: Key) -> Item | None:
        rows = self._rows("SELECT body FROM items WHERE pk = ? AND sk = ?", key)
        return _decode(rows[0][0]) if rows else None

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if len(keys) > MAX_KEYS:
            raise ValueError(f"at most {MAX_KEYS} items can be read at once, not {len(keys)}")
        with self._lock:
            return _standing(self._connection, list(dict.fromkeys(keys)))

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
        # What a reader gets: it shares no list with the actions.
        return _decode(rows[update.key].body)

    def transact(self, writes: Sequence[Write]) -> None:
        self._write(checked_writes(writes))

    def stream_records(self, limit: int) -> list[tuple[int, Item]]:
        """The oldest records of the stream. They stay until they are forgotten, so a crash repeats them."""
        rows = self._rows("SELECT sequence, body FROM stream ORDER BY sequence LIMIT ?", (limit,))
        return [(sequence, _decode(body)) for sequence, body in rows]

    def forget_stream_records(self, up_to: int) -> None:
        """Remove the records up to this sequence number, which must all have been published."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM stream WHERE sequence <= ?", (up_to,))

    def remove_expired(self, now: datetime) -> None:
        """Remove items whose `expires_at` has passed, as DynamoDB does of itself. To be called every now and then."""
        expired = f"SELECT pk, sk FROM items WHERE {EXPIRES_AT} < ? LIMIT ?"  # noqa: S608 - only our names
        statement = f"DELETE FROM items WHERE (pk, sk) IN ({expired})"  # noqa: S608
        with self.transaction() as connection:
            connection.execute(statement, (int(now.timestamp()), MAX_EXPIRED_PER_PASS))

    def _rows(self, statement: str, parameters: Sequence[str | int]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def _write(self, writes: Sequence[Write]) -> dict[Key, _Row]:
        """Apply all writes or none, and answer the rows written."""
        _check_updates(writes)
        by_key = {write.key: write for write in writes}
        looked_at = [key for key, write in by_key.items() if self._looks_at_standing(write)]
        deleted = [key for key, write in by_key.items() if isinstance(write, Delete)]
        # Encoded before the transaction begins: nobody else can write while it lasts.
        rows = {key: _row(write.item) for key, write in by_key.items() if isinstance(write, Put)}
        with self.transaction() as connection:
            standing = _standing(connection, looked_at)
            _check_conditions(by_key, standing)
            for key, write in by_key.items():
                if isinstance(write, Update):
                    rows[key] = _row(_updated(standing.get(key), write))
            stream = [row.body for key, row in rows.items() if key not in standing and self._streamed(row.item)]
            _store(connection, rows.values(), stream)
            _remove(connection, deleted)
        if stream:
            self._on_stream()
        return rows

    def _looks_at_standing(self, write: Write) -> bool:
        """Whether what stands under the key matters: for a condition, an update, or to tell whether an item is new."""
        if write.condition is not None or isinstance(write, Update):
            return True
        return isinstance(write, Put) and self._streamed(write.item)


# The file.


def _open(path: str, schema: Sequence[str]) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        if path != MEMORY:
            # For its owner only: it holds tokens and what people wrote. SQLite gives its other files the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
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
            raise _not_ours(path) from error
        raise DataFileError(
            f"{path} cannot be opened ({error}): see that its folder exists and that the file may be written to."
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: str, schema: Sequence[str]) -> None:
    # Looked at before anything is written: somebody else's file stays as it is.
    if _is_new(connection, path):
        _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    # What a statement that fails half-way is undone by; on disk it would be a file a statement.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    # Looked at again: another process may have been first.
    if _is_new(connection, path):
        for statement in _tables():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # Written every time: a file that cannot be written shows it now, and not at the first request.
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in schema:
        connection.execute(statement)
    connection.execute("COMMIT")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The one statement that fails at once, timeout or not, while another process opens the same new file.
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
    """Whether the file is empty. Raises DataFileError where it is neither empty nor of this version of Convoke."""
    application_id, version, in_use = connection.execute(
        "SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application_id == APPLICATION_ID and version != SCHEMA_VERSION:
        raise DataFileError(
            f"{path} was written by another version of Convoke (data format {version}, this one uses {SCHEMA_VERSION}):"
            " run that version, or name another path to start afresh."
        )
    if application_id != APPLICATION_ID and (application_id or version or in_use):
        raise _not_ours(path)
    return not in_use


def _not_ours(path: str) -> DataFileError:
    return DataFileError(f"{path} is not a data file of Convoke: name another path, or move that file away.")


def _tables() -> list[str]:
    columns = ["pk TEXT NOT NULL", "sk TEXT NOT NULL"]
    for index in INDEXES:
        columns += [f"{name} TEXT" for name in _index_columns(index)]
    columns.append(f"{EXPIRES_AT} INTEGER")
    statements = [f"CREATE TABLE items ({', '.join(columns)}, body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID"]
    for index in INDEXES:
        partition, sort = _index_columns(index)
        statements.append(
            f"CREATE INDEX items_{index.name} ON items ({partition}, {sort}, pk, sk) WHERE {partition} IS NOT NULL"
        )
    statements.append(f"CREATE INDEX items_{EXPIRES_AT} ON items ({EXPIRES_AT}) WHERE {EXPIRES_AT} IS NOT NULL")
    # AUTOINCREMENT never gives a sequence number twice: forgetting a number twice takes nothing that came later.
    statements.append("CREATE TABLE stream (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    return statements


def _index_columns(index: Index) -> tuple[str, str]:
    return f"{index.name}_partition", f"{index.name}_sort"


# Statements.


def _standing(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Item]:
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
    # A join, as `(pk, sk) IN (VALUES ...)` walks the whole table.
    values = ", ".join(repeat("(?, ?)", count))
    return (
        f"WITH wanted (wanted_pk, wanted_sk) AS (VALUES {values})"  # noqa: S608 - only our names
        " SELECT pk, sk, body FROM wanted CROSS JOIN items ON pk = wanted_pk AND sk = wanted_sk"
    )


@cache
def _upsert(count: int) -> str:
    columns = [*chain.from_iterable(map(_index_columns, INDEXES)), EXPIRES_AT, "body"]
    row = f"({', '.join(repeat('?', 2 + len(columns)))})"
    return (
        f"INSERT INTO items (pk, sk, {', '.join(columns)}) VALUES {', '.join(repeat(row, count))}"  # noqa: S608
        f" ON CONFLICT (pk, sk) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)}"
    )


@cache
def _delete(count: int) -> str:
    return f"DELETE FROM items WHERE {' OR '.join(repeat('pk = ? AND sk = ?', count))}"  # noqa: S608


def _layout(index: Index | None) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The partition's column, the columns that order it, and the attributes these are made from."""
    if index is None:
        return "pk", ("sk",), ("sk",)
    partition, sort = _index_columns(index)
    return partition, (sort, "pk", "sk"), (index.sort, "pk", "sk")


def _bounds(
    order: Sequence[str], between: tuple[str, str] | None, after: tuple[str, ...] | None, *, forward: bool
) -> tuple[list[str], list[str]]:
    """SQL for both ends of a range. One term at each end: SQLite seeks by one, and walks over what others exclude."""
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


# Rows. A set is written as {"$set": [0.0, ...]}: as no attribute holds a float, no dictionary can look like one.


def _row(item: Item) -> _Row:
    columns: list[Value] = [item["pk"], item["sk"]]
    for index in INDEXES:
        columns += _index_values(item, index)
    return _Row(item, (*columns, item.get(EXPIRES_AT)), _encode(item))


def _index_values(item: Item, index: Index) -> Sequence[str | None]:
    partition, sort = item.get(index.partition, ""), item.get(index.sort, "")
    if not (isinstance(partition, str) and isinstance(sort, str)):
        raise ValueError(  # noqa: TRY004 - as every mistake of the caller
            f"the attributes {index.partition} and {index.sort} of an index hold strings only"
        )
    return (partition, sort) if partition and sort else (None, None)


def _encode(item: Item) -> str:
    """Raises TypeError for what no attribute can hold, as a number of more than 64 bits."""
    return orjson.dumps(item, default=_set_to_json, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _set_to_json(value: object) -> dict[str, list[float | str]]:
    if not isinstance(value, (set, frozenset)) or not value:
        raise ValueError(f"no attribute can hold {value!r}")
    return {"$set": [0.0, *sorted(value)]}


def _decode(body: str) -> Item:
    item: Item = orjson.loads(body)
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


# Conditions.


def _check_conditions(writes: Mapping[Key, Write], standing: Mapping[Key, Item]) -> None:
    failed = {
        position: standing.get(key)
        for position, (key, write) in enumerate(writes.items())
        if write.condition is not None and not _holds(write.condition, standing.get(key, {}))
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
            return name in item and _same(item[name], value)
        case LessThan(name, value):
            return _less(item.get(name), value)
        case Contains(name, value):
            standing = item.get(name)
            return isinstance(standing, set) and value in standing
        case And(conditions):
            return all(_holds(part, item) for part in conditions)
        case Or(conditions):
            return any(_holds(part, item) for part in conditions)


def _same(one: Value, other: Value) -> bool:
    """Equality that tells 1 from true, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return one == other


def _less(standing: Value, value: str | int) -> bool:
    # Python compares strings by code points, which is the order of their UTF-8 bytes.
    if isinstance(value, str):
        return isinstance(standing, str) and standing < value
    return isinstance(standing, int) and not isinstance(standing, bool) and standing < value


# Actions.


def _check_updates(writes: Iterable[Write]) -> None:
    """Raises ValueError for what DynamoDB refuses."""
    for update in writes:
        if not isinstance(update, Update):
            continue
        names = {action.name for action in update.actions}
        if not names or len(names) < len(update.actions):
            raise ValueError("an update has at least one action, and one an attribute")
        if names & {"pk", "sk"}:
            raise ValueError("an update cannot change the key of an item")


def _updated(standing: Item | None, update: Update) -> Item:
    item: Item = {"pk": update.key.pk, "sk": update.key.sk} if standing is None else dict(standing)
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


def _sum(standing: Value, value: int | frozenset[str], name: str) -> Value:
    if isinstance(value, frozenset) and (standing is None or isinstance(standing, set)):
        return (standing or set()) | value
    if isinstance(value, int) and (standing is None or (isinstance(standing, int) and not isinstance(standing, bool))):
        return value + (standing or 0)
    raise ValueError(f"{value!r} cannot be added to the attribute {name}")


def _delete_from_set(item: Item, name: str, values: frozenset[str]) -> None:
    standing = item.get(name, set())
    if not isinstance(standing, set):
        raise ValueError(f"the attribute {name} is not a set")  # noqa: TRY004 - as every mistake of the caller
    rest = standing - values
    if rest:
        item[name] = rest
    else:
        item.pop(name, None)
