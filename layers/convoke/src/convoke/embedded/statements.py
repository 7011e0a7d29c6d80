"""Build the SQL statements for the table `items`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import repeat

from convoke.embedded.rows import COLUMNS, index_columns
from convoke.storage.table import Index, Item


@cache
def select_items(count: int) -> str:
    """Return the statement that selects the keys and bodies of `count` items."""
    # Use a join, because SQLite would scan the whole table for `(pk, sk) IN (VALUES ...)`.
    values = ", ".join(repeat("(?, ?)", count))
    return (
        f"WITH wanted (wanted_pk, wanted_sk) AS (VALUES {values})"  # noqa: S608 - only constants
        " SELECT pk, sk, body FROM wanted CROSS JOIN items ON pk = wanted_pk AND sk = wanted_sk"
    )


@cache
def upsert_items(count: int) -> str:
    """Return the statement that stores `count` items. The parameters of each item are the values of `COLUMNS`."""
    row = f"({', '.join(repeat('?', len(COLUMNS)))})"
    updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
    return (
        f"INSERT INTO items ({', '.join(COLUMNS)}) VALUES {', '.join(repeat(row, count))}"  # noqa: S608
        f" ON CONFLICT (pk, sk) DO UPDATE SET {updates}"
    )


def query_items(
    partition: str, *, index: Index | None, between: tuple[str, str] | None, after: Item | None, forward: bool
) -> tuple[str, list[str]]:
    """Return the statement for `Table.query`, and its parameters without the limit.

    The caller must append the limit as the last parameter.
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

    On an index, a query selects only the attributes that DynamoDB projects into the index. Therefore the query does not
    need to decode whole items.
    """
    if index is None:
        return "body"
    projected = [f"json_extract(body, '$.{name}')" for name in index.projected]
    return ", ".join(("pk", "sk", *index_columns(index), *projected))


@cache
def _layout(index: Index | None) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the partition column, the columns for ORDER BY, and the attributes that the ORDER BY columns contain.

    The attributes have the same order as the ORDER BY columns.
    """
    if index is None:
        return "pk", ("sk",), ("sk",)
    partition, sort = index_columns(index)
    return partition, (sort, "pk", "sk"), (index.sort, "pk", "sk")


def _bounds(
    order: Sequence[str], between: tuple[str, str] | None, after: tuple[str, ...] | None, *, forward: bool
) -> tuple[list[str], list[str]]:
    """Return the SQL terms for the start and the end of a range, with their parameters.

    `between` contains the first and the last sort key of the range. `after` is the position behind which a page starts.

    If both `between` and `after` limit the start, use only the stricter term. With two terms, SQLite would look up only
    one term in the index, and would check the other term for every row.
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
