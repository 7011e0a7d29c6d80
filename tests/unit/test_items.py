"""`storage/items.py` finds the update actions that turn an old item into a new item."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.storage.items import differences
from convoke.storage.table import Action, Item, Key, Put, Remove, Set, Update
from tests.support.tables import memory_table

ITEMS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0, 1, "", "x"]))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Set("a", 2)]),
        ({"a": 1}, {}, [Remove("a")]),
        ({}, {"a": 1}, [Set("a", 1)]),
        ({"a": 1, "b": 1}, {"b": 1, "c": 1}, [Remove("a"), Set("c", 1)]),
    ],
)
def test_differences_contain_only_changed_attributes(before: Item, after: Item, expected: list[Action]) -> None:
    assert [_fields(each) for each in differences(before, after)] == [_fields(each) for each in expected]


def _fields(action: Action) -> tuple[object, ...]:
    """Return the type and the fields of an action. Actions are lean dataclasses, which have no `__eq__`."""
    return type(action), *astuple(action)


@given(before=ITEMS, after=ITEMS)
def test_applying_the_differences_gives_the_new_item(before: Item, after: Item) -> None:
    key = Key("AC1", "item")
    actions = differences(before, after)
    with memory_table() as table:
        table.transact([Put({**key._asdict(), **before})])
        if actions:
            table.update(Update(key, tuple(actions)))
        assert table.get(key) == {**key._asdict(), **after}
