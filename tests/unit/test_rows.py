"""The embedded engine stores items as SQLite rows (embedded/rows.py)."""

from __future__ import annotations

import json

import pytest

from convoke.embedded.rows import COLUMNS, decode, encode, index_columns, row_of
from convoke.storage.keys import DUE, INDEXES
from convoke.storage.table import Item, Value

KEY: Item = {"pk": "AC1#CH1", "sk": "conversation"}


def columns(item: Item) -> dict[str, Value]:
    return dict(zip(COLUMNS, row_of(item).columns, strict=True))


def test_row_has_a_partition_and_a_sort_column_for_each_index() -> None:
    assert COLUMNS[:2] == ("pk", "sk")
    assert COLUMNS[-2:] == ("expires_at", "body")
    assert {name for index in INDEXES for name in index_columns(index)} == set(COLUMNS[2:-2])


def test_row_of_an_item_outside_all_indexes_has_empty_columns() -> None:
    assert {name for name, value in columns(KEY).items() if value is not None} == {"pk", "sk", "body"}


def test_index_columns_and_expiry_follow_the_attributes() -> None:
    found = columns({**KEY, DUE.partition: "p", DUE.sort: "s", "expires_at": 7})
    assert (found["due_partition"], found["due_sort"], found["expires_at"]) == ("p", "s", 7)


@pytest.mark.parametrize("missing", [{DUE.partition: "p"}, {DUE.sort: "s"}, {DUE.partition: "p", DUE.sort: ""}])
def test_item_with_half_of_an_index_key_is_not_in_the_index(missing: Item) -> None:
    found = columns({**KEY, **missing})
    assert (found["due_partition"], found["due_sort"]) == (None, None)


def test_index_key_must_be_a_string() -> None:
    with pytest.raises(ValueError, match="hold strings only"):
        row_of({**KEY, DUE.partition: 1, DUE.sort: "s"})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64 - 1,
        "text é \U0001f600 \x00",
        [1, [2, {"a": None}]],
        {"a": {"b": []}},
        {"one", "two"},
        {1, 2},
        {"nested": {"tags": {"a"}}},
        [{"a"}, {"b"}],
    ],
)
def test_value_is_read_as_it_was_written(value: Value) -> None:
    assert decode(encode({**KEY, "a": value})) == {**KEY, "a": value}


@pytest.mark.parametrize("value", [{"$set": ["a"]}, {"$set": [0, "a"]}, "$set", '"$set"', {"$set": {"a": 1}}])
def test_map_of_a_client_is_never_taken_for_a_set(value: Value) -> None:
    assert decode(encode({**KEY, "a": value})) == {**KEY, "a": value}


def test_set_is_stored_in_order() -> None:
    assert json.loads(encode({"a": {"c", "a", "b"}})) == {"a": {"$set": [0.0, "a", "b", "c"]}}


@pytest.mark.parametrize("value", [set(), frozenset(), object(), 2**64, b"bytes"])
def test_value_that_no_attribute_can_hold_is_refused(value: Value) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode({**KEY, "a": value})
