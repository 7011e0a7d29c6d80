"""The SQL statements that the embedded engine runs on the table `items`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import repeat

from convoke.embedded.rows import COLUMNS, index_columns
from convoke.storage.table import Index, Item


@cache
def select_items(count: int) -> str:
    """Return the statement that selects the key and the body of each of `count` items."""
    # Use a join here. With `(pk, sk) IN (VALUES ...)`, SQLite would scan the whole table.
    values = ", ".join(repeat("(?, ?)", count))
    return (
        f"WITH wanted (wanted_pk, wanted_sk) AS (VALUES {values})"  # noqa: S608 - only constants
        " SELECT pk, sk, body FROM wanted CROSS JOIN items ON pk = wanted_pk AND sk = wanted_sk"
    )


@cache
def upsert_items(count: int) -> str:
    """Return the statement that stores `count` items. For each item, the parameters are the values of `COLUMNS`."""
    row = f"({', '.join(repeat('?', len(COLUMNS)))})"
    updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
    return (
        f"INSERT INTO items ({', '.join(COLUMNS)}) VALUES {', '.join(repeat(row, count))}"  # noqa: S608
        f" ON CONFLICT (pk, sk) DO UPDATE SET {updates}"
    )


def query_items(
    partition: str, *, index: Index | None, between: tuple[str, str] | None, after: Item | None, forward: bool
) -> tuple[str, list[str]]:
    """Return the statement for `Table.query`, and the parameters of the statement except the limit.

    The limit is the last parameter of the statement.
    """
    column, order, names = _layout(index)
    position = tuple(str(after[name]) for name in names) if after else None
    clauses, parameters = _bounds(order, between, position, forward=forward)
    direction = "ASC" if forward else "DESC"
    statement = (
        f"SELECT {_selected(index)} FROM items WHERE {' AND '.join([f'{column} = ?', *clauses])}"  # noqa: S608
        f" ORDER BY {', '.join(f'{name} {direction}' for name in order)} LIMIT ?"
    )
    return statement, [partition, *parameters]


@cache
def _selected(index: Index | None) -> str:
    """Return the columns that a query selects, as SQL text.

    A query on an index selects only the attributes that DynamoDB projects into the index. For such a query, no item
    needs to be decoded.
    """
    if index is None:
        return "body"
    projected = [f"json_extract(body, '$.{name}')" for name in index.projected]
    return ", ".join(("pk", "sk", *index_columns(index), *projected))


@cache
def _layout(index: Index | None) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the column of the partition key, the columns for ORDER BY, and the attributes of these columns.

    The columns for ORDER BY determine the order of the items in a partition. Each of these columns contains the value
    of one attribute. The columns and the attributes have the same order.
    """
    if index is None:
        return "pk", ("sk",), ("sk",)
    partition, sort = index_columns(index)
    return partition, (sort, "pk", "sk"), (index.sort, "pk", "sk")


def _bounds(
    order: Sequence[str], between: tuple[str, str] | None, after: tuple[str, ...] | None, *, forward: bool
) -> tuple[list[str], list[str]]:
    """Return the SQL terms for the start and the end of a range, and the parameters of these terms.

    There is at most one term for the start, and at most one term for the end. If there were two terms for the start,
    SQLite would look up only one term in the index. SQLite would then check the other term for every row.
    """
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
