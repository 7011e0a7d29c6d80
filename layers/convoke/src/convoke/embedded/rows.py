"""Convert items to rows of the table `items`, and rows back to items.

A row has columns for the key, for each index and for the expiry time. The column `body` contains the whole item as
JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import orjson

from convoke.storage.keys import INDEXES
from convoke.storage.table import EXPIRES_AT, Index, Item, Value


class Row(NamedTuple):
    item: Item
    columns: tuple[Value, ...]
    """The values of the columns, in the order of `COLUMNS`."""
    body: str
    """The item as JSON. `columns` also ends with this value."""


def index_columns(index: Index) -> tuple[str, str]:
    """Return the names of an index's partition column and sort column."""
    return f"{index.name}_partition", f"{index.name}_sort"


NOT_IN_INDEX = (None, None)

COLUMNS = ("pk", "sk", *chain.from_iterable(map(index_columns, INDEXES)), EXPIRES_AT, "body")
"""The names of all columns of the table `items`."""


_INDEX_ATTRIBUTES = tuple((index.partition, index.sort) for index in INDEXES)


def row_of(item: Item) -> Row:
    """Return the row that stores an item.

    Raise ValueError if an attribute of an index is not a string. Also raise the errors of `encode`.
    """
    columns: list[Value] = [item["pk"], item["sk"]]
    for partition, sort in _INDEX_ATTRIBUTES:
        columns += _index_values(item, partition, sort) if partition in item else NOT_IN_INDEX
    body = encode(item)
    return Row(item, (*columns, item.get(EXPIRES_AT), body), body)


def encode(item: Item) -> str:
    """Return an item as JSON.

    Raise TypeError if the item contains a value that cannot become JSON, such as an integer of more than 64 bits, an
    empty set or a datetime.
    """
    return orjson.dumps(item, default=_set_to_json, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def decode(body: str) -> Item:
    item: Item = orjson.loads(body)
    return _with_sets(item) if '"$set"' in body else item


def _index_values(item: Item, partition_name: str, sort_name: str) -> Sequence[str | None]:
    partition, sort = item.get(partition_name, ""), item.get(sort_name, "")
    if not (isinstance(partition, str) and isinstance(sort, str)):
        raise ValueError(  # noqa: TRY004 - the item is wrong, not its type
            f"the attributes {partition_name} and {sort_name} of an index hold strings only"
        )
    return (partition, sort) if partition and sort else NOT_IN_INDEX


def _set_to_json(value: object) -> dict[str, list[float | str]]:
    # A client can store a map that has the key `$set`. The 0.0 at the start tells a set from such a map, because no
    # attribute can contain a float.
    if not isinstance(value, (set, frozenset)) or not value:
        raise ValueError(f"no attribute can hold {value!r}")
    return {"$set": [0.0, *sorted(value)]}


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
