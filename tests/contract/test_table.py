"""Every engine fulfils the contract of the Table port in the same way, except for the cases in GAPS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple
from typing import Any

import pytest
from botocore.exceptions import ClientError

from convoke.storage.keys import DUE, INDEXES, LAST, MEMBERSHIPS
from convoke.storage.table import (
    MAX_KEYS_PER_BATCH,
    MAX_WRITES,
    Action,
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
    Table,
    TransactionCanceledError,
    Update,
    Value,
    Write,
)
from tests.support.tables import GAPS, file_table, memory_table, ministack_table, moto_table, table_properties

ENGINES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Table]]] = {
    "sqlite-memory": lambda request: memory_table(),
    "sqlite-file": lambda request: file_table(request.getfixturevalue("tmp_path")),
    "dynamodb-on-moto": lambda request: moto_table(),
    "dynamodb-on-ministack": lambda request: ministack_table(request.getfixturevalue("ministack_url")),
}

MARKS = {"dynamodb-on-ministack": pytest.mark.xdist_group("ministack")}
"""Maps an engine to a mark.

One pytest-xdist worker runs all tests with this mark. Otherwise several workers would start MiniStack.
"""

KEY = Key("AC1#CH1", "conversation")
OTHER = Key("AC1#CH1", "provisioning")
MISSING = Key("AC1#CH1", "missing")

STORED: Item = {
    **KEY._asdict(),
    "text": "b",
    "empty": "",
    "number": 5,
    "true": True,
    "one": 1,
    "nothing": None,
    "list": ["a", 1, True, None, {"deep": [1]}],
    "map": {"a": 1, "b": {"c": "d"}},
    "tags": {"x", "y"},
}

HOLDS: dict[str, Condition] = {
    "exists": Exists("text"),
    "key-exists": Exists("pk"),
    "null-exists": Exists("nothing"),
    "not-exists": NotExists("absent"),
    "equal-string": Equals("text", "b"),
    "equal-empty-string": Equals("empty", ""),
    "equal-number": Equals("number", 5),
    "equal-boolean": Equals("true", True),
    "equal-null": Equals("nothing", None),
    "equal-list": Equals("list", ["a", 1, True, None, {"deep": [1]}]),
    "equal-map": Equals("map", {"b": {"c": "d"}, "a": 1}),
    "equal-set": Equals("tags", {"y", "x"}),
    "equal-key": Equals("sk", "conversation"),
    "less-string": LessThan("text", "c"),
    "less-string-by-length": LessThan("text", "bb"),
    "less-number": LessThan("number", 10),
    "contains": Contains("tags", "x"),
    "and": And((Exists("text"), Equals("number", 5), Contains("tags", "y"))),
    "and-of-one": And((Contains("tags", "y"),)),
    "or-first": Or((Equals("text", "b"), Equals("text", "z"))),
    "or-last": Or((Equals("text", "z"), Equals("absent", "z"), Contains("tags", "x"))),
    "or-of-one": Or((And((Exists("text"), Exists("number"))),)),
    "or-in-and": And((Or((NotExists("text"), LessThan("number", 6))), Exists("tags"))),
    "and-in-or": Or((And((Exists("text"), NotExists("text"))), And((Exists("text"), Exists("number"))))),
}

FAILS: dict[str, Condition] = {
    "exists": Exists("absent"),
    "not-exists": NotExists("text"),
    "null-is-not-absent": NotExists("nothing"),
    "other-string": Equals("text", "B"),
    "other-number": Equals("number", 6),
    "other-boolean": Equals("true", False),
    "string-is-not-number": Equals("number", "5"),
    "number-is-not-string": Equals("text", 5),
    "true-is-not-1": Equals("true", 1),
    "1-is-not-true": Equals("one", True),
    "true-is-not-1-inside-a-list": Equals("list", ["a", True, True, None, {"deep": [1]}]),
    "null-is-not-empty": Equals("empty", None),
    "absent-is-not-null": Equals("absent", None),
    "shorter-list": Equals("list", ["a"]),
    "other-map": Equals("map", {"a": 1, "b": {"c": "e"}}),
    "smaller-map": Equals("map", {"a": 1}),
    "smaller-set": Equals("tags", {"x"}),
    "list-is-not-set": Equals("tags", ["x", "y"]),
    "equal-is-not-less": LessThan("number", 5),
    "not-less": LessThan("number", 4),
    "string-not-less": LessThan("text", "b"),
    "string-not-less-by-case": LessThan("text", "C"),
    "absent-is-not-less": LessThan("absent", 1),
    "absent-string-is-not-less": LessThan("absent", "z"),
    "null-is-not-less": LessThan("nothing", 1),
    "string-is-not-less-than-number": LessThan("text", 9),
    "number-is-not-less-than-string": LessThan("number", "9"),
    "not-contained": Contains("tags", "z"),
    "absent-contains-nothing": Contains("absent", "x"),
    "string-contains-no-element": Contains("text", "b"),
    "list-contains-no-element": Contains("list", "a"),
    "map-contains-no-element": Contains("map", "a"),
    "and-first": And((NotExists("text"), Exists("number"))),
    "and-last": And((Exists("number"), Exists("tags"), NotExists("text"))),
    "or": Or((NotExists("text"), Equals("number", 6), Contains("tags", "z"))),
    "or-in-and": And((Or((NotExists("text"), LessThan("number", 4))), Exists("tags"))),
}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in ENGINES])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def table(engine: str, request: pytest.FixtureRequest) -> Iterator[Table]:
    with ENGINES[engine](request) as table:
        yield table


def expect_gaps(request: pytest.FixtureRequest, engine: str, case: str) -> None:
    """If GAPS lists the case for this engine, expect the test to fail.

    If the test passes although GAPS lists its case, the test run fails. The case must then be removed from GAPS.
    """
    if gap := GAPS.get(engine, {}).get(case):
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"{engine}: {gap}"))


def put(table: Table, *items: Item) -> None:
    for start in range(0, len(items), MAX_WRITES):
        table.transact([Put(item) for item in items[start : start + MAX_WRITES]])


def item_of(key: Key, **attributes: Value) -> Item:
    return {**key._asdict(), **attributes}


def label(case: Value | Action) -> str:
    """Return a name for the case. Sets are sorted, because the `repr` of a set has no fixed order."""
    if isinstance(case, (Set, Remove, Add, DeleteFromSet)):
        return f"{type(case).__name__} {label(list(astuple(case)))}"
    return json.dumps(case, default=sorted)


# get and get_many


def test_get_returns_stored_item(table: Table) -> None:
    put(table, STORED)
    assert table.get(KEY) == STORED


def test_get_of_unknown_key_returns_none(table: Table) -> None:
    put(table, STORED)
    assert table.get(MISSING) is None
    assert table.get(Key("AC2#CH1", "conversation")) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        'quotes " and \\ and \n and \x00',
        "ünïcödé 中文 😀 \U0010ffff",
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**53 + 1,
        100,
        True,
        False,
        None,
        [],
        {},
        [1, True, None, "", [], {}, [[["deep"]]]],
        {"a": {"b": [{"c": None}]}},
        {"one"},
        {"x", "y", "ü😀"},
        [{"x", "y"}, {"set": {"z"}}],
        {"$set": ["x", "y"]},
        {"$set": [1, "x"]},
        {"$set": []},
        {"$set": {"x"}},
        "$set",
    ],
    ids=label,
)
def test_value_is_returned_with_same_type(table: Table, value: Value) -> None:
    put(table, item_of(KEY, value=value))
    stored = table.get(KEY)
    assert stored is not None
    assert stored["value"] == value
    assert exact_types(stored["value"]) == exact_types(value)


def exact_types(value: Any) -> Any:
    """Replace a value by its type, and the elements of lists and dicts by their types.

    The types are compared too, because equal values can have different types: `1 == True`.
    """
    if isinstance(value, list):
        return [exact_types(element) for element in value]
    if isinstance(value, dict):
        return {name: exact_types(element) for name, element in value.items()}
    return type(value)


@pytest.mark.parametrize("text", ["a'b\"c", "%_*?", "ünïcödé 😀", "a b", "#:", "\n"])
def test_keys_and_names_accept_any_character(table: Table, text: str) -> None:
    key = Key(text, text)
    put(table, {**item_of(key), text: 1, "size": 2})
    assert table.update(Update(key, (Set(text, 2), Set("name", 3)), Equals(text, 1))) == {
        **item_of(key, size=2, name=3),
        text: 2,
    }
    assert table.query(text, limit=1, between=(text, text)) == [{**item_of(key, size=2, name=3), text: 2}]


def test_get_many_returns_existing_items(table: Table) -> None:
    keys = [Key(f"AC1#CH{number}", "conversation") for number in range(100)]
    put(table, *(item_of(key, number=number) for number, key in enumerate(keys) if number % 2))
    assert table.get_many(keys) == {key: item_of(key, number=number) for number, key in enumerate(keys) if number % 2}


def test_get_many_accepts_duplicate_keys_and_no_keys(table: Table) -> None:
    put(table, STORED)
    assert table.get_many([KEY, MISSING, KEY]) == {KEY: STORED}
    assert table.get_many([]) == {}


def test_get_many_reads_more_items_than_a_batch_of_dynamodb_can_contain(table: Table) -> None:
    keys = [Key("AC1", f"{number:04}") for number in range(2 * MAX_KEYS_PER_BATCH + 1)]
    put(table, *(item_of(key) for key in keys))
    assert table.get_many([*keys, *keys]) == {key: item_of(key) for key in keys}


# Conditions


@pytest.mark.parametrize("case", HOLDS)
def test_update_is_applied_when_condition_holds(table: Table, case: str) -> None:
    put(table, STORED)
    assert table.update(Update(KEY, (Set("changed", "yes"),), HOLDS[case])) == {**STORED, "changed": "yes"}


@pytest.mark.parametrize("case", FAILS)
def test_update_raises_stored_item_when_condition_fails(
    table: Table, engine: str, request: pytest.FixtureRequest, case: str
) -> None:
    expect_gaps(request, engine, case)
    put(table, STORED)
    with pytest.raises(ConditionFailedError) as failure:
        table.update(Update(KEY, (Set("changed", "yes"),), FAILS[case]))
    assert failure.value.item == STORED
    assert table.get(KEY) == STORED


@pytest.mark.parametrize("case", HOLDS)
def test_transaction_is_applied_when_every_condition_holds(table: Table, case: str) -> None:
    keys = [Key(f"AC1#CH{number}", "conversation") for number in range(3)]
    put(table, *({**STORED, **key._asdict()} for key in keys))
    condition = HOLDS[case]
    table.transact(
        [
            Put(item_of(keys[0], new=True), condition),
            Update(keys[1], (Set("changed", "yes"),), condition),
            Delete(keys[2], condition),
        ]
    )
    assert table.get_many(keys) == {
        keys[0]: item_of(keys[0], new=True),
        keys[1]: {**STORED, **keys[1]._asdict(), "changed": "yes"},
    }


@pytest.mark.parametrize("case", FAILS)
def test_transaction_is_cancelled_when_every_condition_fails(
    table: Table, engine: str, request: pytest.FixtureRequest, case: str
) -> None:
    expect_gaps(request, engine, case)
    keys = [Key(f"AC1#CH{number}", "conversation") for number in range(3)]
    stored: dict[Key, Item] = {key: {**STORED, **key._asdict()} for key in keys}
    put(table, *stored.values())
    condition = FAILS[case]
    with pytest.raises(TransactionCanceledError) as failure:
        table.transact(
            [
                Put(item_of(keys[0], new=True), condition),
                Update(keys[1], (Set("changed", "yes"),), condition),
                Delete(keys[2], condition),
            ]
        )
    assert failure.value.failed == dict(enumerate(stored.values()))
    assert table.get_many(keys) == stored


@pytest.mark.parametrize(
    "condition",
    [Exists("pk"), Equals("text", "b"), LessThan("number", 9), Contains("tags", "x")],
    ids=lambda condition: type(condition).__name__,
)
def test_condition_on_missing_item_fails_without_item(table: Table, condition: Condition) -> None:
    with pytest.raises(ConditionFailedError) as failure:
        table.update(Update(MISSING, (Set("changed", "yes"),), condition))
    assert failure.value.item is None
    with pytest.raises(TransactionCanceledError) as cancellation:
        table.transact([Put(item_of(MISSING), condition), Put(STORED), Delete(OTHER, condition)])
    assert cancellation.value.failed == {0: None, 2: None}
    assert table.get_many([MISSING, KEY]) == {}


def test_not_exists_holds_on_missing_item(table: Table) -> None:
    table.transact([Put(STORED, NotExists("pk")), Delete(OTHER, NotExists("pk"))])
    assert table.update(Update(MISSING, (Set("a", 1),), NotExists("pk"))) == item_of(MISSING, a=1)


def test_strings_compare_by_utf8_bytes(table: Table) -> None:
    # Java and JavaScript compare by UTF-16 code units, and would sort the emoji before U+FFFF.
    put(table, item_of(KEY, text="\uffff"))
    assert table.update(Update(KEY, (Set("hit", 1),), LessThan("text", "😀")))["hit"] == 1
    with pytest.raises(ConditionFailedError):
        table.update(Update(KEY, (Set("hit", 2),), LessThan("text", "z")))


# Actions


CHANGES: list[tuple[Action, dict[str, Any]]] = [
    (Set("text", "new"), {"text": "new"}),
    (Set("absent", 1), {"absent": 1}),
    (Set("text", None), {"text": None}),
    (Set("number", ["of", {"another": "type"}]), {"number": ["of", {"another": "type"}]}),
    (Set("tags", {"z"}), {"tags": {"z"}}),
    (Remove("text"), {"text": ...}),
    (Remove("absent"), {}),
    (Add("number", 2), {"number": 7}),
    (Add("number", -6), {"number": -1}),
    (Add("number", 10**18), {"number": 10**18 + 5}),
    (Add("absent", 3), {"absent": 3}),
    (Add("absent", 0), {"absent": 0}),
    (Add("tags", frozenset({"y", "z"})), {"tags": {"x", "y", "z"}}),
    (Add("absent", frozenset({"z"})), {"absent": {"z"}}),
    (DeleteFromSet("tags", frozenset({"x", "z"})), {"tags": {"y"}}),
    (DeleteFromSet("tags", frozenset({"z"})), {}),
    (DeleteFromSet("tags", frozenset({"x", "y"})), {"tags": ...}),
    (DeleteFromSet("absent", frozenset({"x"})), {}),
]


@pytest.mark.parametrize(("action", "changes"), CHANGES, ids=[label(action) for action, _ in CHANGES])
def test_action_changes_one_attribute(table: Table, action: Action, changes: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**STORED, **changes}.items() if value is not ...}
    put(table, STORED)
    assert table.update(Update(KEY, (action,))) == expected
    assert table.get(KEY) == expected
    put(table, STORED)
    table.transact([Update(KEY, (action,), Exists("pk"))])
    assert table.get(KEY) == expected


def test_actions_of_one_update_are_applied_together(table: Table) -> None:
    put(table, STORED)
    actions = (
        Set("text", "c"),
        Set("new", True),
        Remove("map"),
        Remove("list"),
        Add("number", 1),
        Add("one", 1),
        Add("more", frozenset({"m"})),
        DeleteFromSet("tags", frozenset({"x"})),
    )
    assert table.update(Update(KEY, actions, Equals("text", "b"))) == item_of(
        KEY, text="c", empty="", number=6, true=True, one=2, nothing=None, tags={"y"}, new=True, more={"m"}
    )


@pytest.mark.parametrize("transacted", [False, True], ids=["update", "transact"])
def test_update_of_missing_item_creates_it(table: Table, transacted: bool) -> None:
    actions = (Set("a", 1), Add("b", 2), Add("c", frozenset({"d"})), Remove("e"), DeleteFromSet("f", frozenset({"g"})))
    if transacted:
        table.transact([Update(MISSING, actions)])
    else:
        assert table.update(Update(MISSING, actions)) == item_of(MISSING, a=1, b=2, c={"d"})
    assert table.get(MISSING) == item_of(MISSING, a=1, b=2, c={"d"})


def test_returned_item_is_a_copy(table: Table) -> None:
    value: list[Value] = ["a"]
    answer = table.update(Update(KEY, (Set("list", value),)))
    value.append("b")
    assert answer == item_of(KEY, list=["a"])
    answer["list"] = None
    assert table.get(KEY) == item_of(KEY, list=["a"])


@pytest.mark.parametrize(
    "action",
    [Add("text", 1), Add("tags", 1), Add("number", frozenset({"x"})), DeleteFromSet("text", frozenset({"x"}))],
    ids=label,
)
def test_action_on_wrong_type_is_refused(table: Table, action: Action) -> None:
    put(table, STORED)
    with pytest.raises((ValueError, ClientError)):
        table.update(Update(KEY, (action,)))
    with pytest.raises((ValueError, ClientError)):
        table.transact([Put(item_of(OTHER)), Update(KEY, (action,))])
    assert table.get_many([KEY, OTHER]) == {KEY: STORED}


INVALID: dict[str, tuple[Action, ...]] = {
    "no-action": (),
    "sets-a-key": (Set("sk", "other"),),
    "removes-a-key": (Remove("pk"),),
    "twice-on-an-attribute": (Set("text", "a"), Remove("text")),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_update_is_refused(table: Table, engine: str, request: pytest.FixtureRequest, case: str) -> None:
    expect_gaps(request, engine, case)
    put(table, STORED)
    with pytest.raises((ValueError, ClientError)):
        table.update(Update(KEY, INVALID[case]))
    assert table.get(KEY) == STORED


# Transactions


def test_transaction_applies_every_kind_of_write(table: Table) -> None:
    put(table, STORED, item_of(OTHER, a=1))
    table.transact(
        [
            Put(item_of(MISSING, new=1), NotExists("pk")),
            Put(item_of(Key("AC1#CH2", "conversation"))),
            Update(KEY, (Add("number", 1),), Equals("number", 5)),
            Delete(OTHER, Exists("pk")),
            Delete(Key("AC1#CH3", "conversation")),
        ]
    )
    assert [item["sk"] for item in table.query("AC1#CH1", limit=10)] == ["conversation", "missing"]
    assert table.get(KEY) == {**STORED, "number": 6}


def test_put_replaces_the_whole_item(table: Table) -> None:
    put(table, STORED)
    put(table, item_of(KEY, only="this"))
    assert table.get(KEY) == item_of(KEY, only="this")


def test_cancelled_transaction_changes_nothing_and_names_failed_writes(table: Table) -> None:
    stored = item_of(OTHER, a=1)
    put(table, STORED, stored)
    with pytest.raises(TransactionCanceledError) as failure:
        table.transact(
            [
                Put(item_of(Key("AC1#CH9", "first"))),
                Put(item_of(KEY, replaced=True), NotExists("pk")),
                Update(Key("AC1#CH9", "second"), (Set("a", 1),)),
                Update(MISSING, (Set("a", 1),), Exists("pk")),
                Delete(OTHER, Equals("a", 1)),
                Delete(Key("AC1#CH9", "third"), Exists("pk")),
            ]
        )
    assert failure.value.failed == {1: STORED, 3: None, 5: None}
    assert table.query("AC1#CH1", limit=10) == [STORED, stored]
    assert table.query("AC1#CH9", limit=10) == []


def test_largest_transaction_is_applied(table: Table) -> None:
    table.transact([Put(item_of(Key("AC1", f"{number:03}")), NotExists("pk")) for number in range(MAX_WRITES)])
    assert len(table.query("AC1", limit=MAX_WRITES + 1)) == MAX_WRITES
    table.transact([Delete(Key("AC1", f"{number:03}"), Exists("pk")) for number in range(MAX_WRITES)])
    assert table.query("AC1", limit=1) == []


@pytest.mark.parametrize(
    "writes",
    [
        [],
        [Put(item_of(Key("AC1", str(number)))) for number in range(MAX_WRITES + 1)],
        [Put(item_of(KEY)), Delete(KEY)],
        [Update(KEY, (Set("a", 1),)), Put(item_of(OTHER)), Update(KEY, (Set("b", 1),))],
        [Put({"pk": "AC1"})],
        [Put({"pk": "AC1", "sk": 1})],
    ],
    ids=["none", "too-many", "put-and-delete", "two-updates", "no-sort-key", "numeric-sort-key"],
)
def test_invalid_transaction_is_refused(table: Table, writes: list[Write]) -> None:
    with pytest.raises(ValueError, match=r"."):
        table.transact(writes)
    assert table.query("AC1", limit=1) == table.query(KEY.pk, limit=1) == []


@pytest.mark.parametrize("case", ["index-takes-no-number", "index-takes-no-null"])
def test_index_accepts_strings_only(table: Table, engine: str, request: pytest.FixtureRequest, case: str) -> None:
    expect_gaps(request, engine, case)
    attributes: Item = {"due_shard": 1 if case == "index-takes-no-number" else None, "due_at": "a"}
    with pytest.raises((ValueError, ClientError)):
        table.transact([Put({**item_of(KEY), **attributes})])
    assert table.get(KEY) is None


# query, on the table and on an index


def test_query_returns_one_partition_in_sort_key_order(table: Table) -> None:
    put(table, *(item_of(Key(partition, sk)) for sk in ("b", "a", "c") for partition in ("P", "P1", "Q")))
    assert table.query("P", limit=10) == [item_of(Key("P", sk)) for sk in ("a", "b", "c")]
    assert table.query("P", limit=10, consistent=True) == [item_of(Key("P", sk)) for sk in ("a", "b", "c")]
    assert table.query("P", limit=10, forward=False) == [item_of(Key("P", sk)) for sk in ("c", "b", "a")]
    assert table.query("nothing", limit=10) == []


UNICODE = ["", " ", "A", "Z", "a", "aa", "b", "z", "é", "中", "\ue000", "\uffff", "😀", LAST]


def test_sort_keys_are_ordered_by_utf8_bytes(table: Table) -> None:
    put(table, *(item_of(Key("P", f"-{text}")) for text in reversed(UNICODE)))
    found = [str(item["sk"])[1:] for item in table.query("P", limit=100)]
    assert found == sorted(UNICODE, key=str.encode) == UNICODE
    assert [str(item["sk"])[1:] for item in table.query("P", limit=100, forward=False)] == UNICODE[::-1]


class Walk:
    """Twelve items in one partition, with the letters `a` to `l` as sort keys.

    The method `query` returns the letters of the found items. The query reads `index`, or the table if `index` is None.
    """

    letters = "abcdefghijkl"

    def __init__(self, table: Table, index: Index | None) -> None:
        self.table, self.index = table, index
        put(table, *map(self.item, self.letters))
        # The query must not return these items, because they are in other partitions.
        partition = {index.partition: "X"} if index else {}
        put(table, *({**self.item(letter), "pk": f"X{letter}", **partition} for letter in self.letters))

    def item(self, letter: str) -> Item:
        if self.index is None:
            return item_of(Key("P", letter))
        # In the index DUE, the sort keys and the primary keys have opposite orders. Therefore the result shows whether
        # the query uses the index. In the index MEMBERSHIPS, `pk` is the sort key, so both orders are the same.
        item: Item = {"pk": f"K{99 - ord(letter) % 97}", "sk": "conversation"}
        return item | {self.index.partition: "P", self.index.sort: letter}

    def query(self, **arguments: Any) -> str:
        sort = self.index.sort if self.index else "sk"
        after = self.item(arguments.pop("after")) if "after" in arguments else None
        items = self.table.query("P", index=self.index, after=after, **{"limit": 100, **arguments})
        return "".join(str(item[sort]) for item in items)


@pytest.fixture(params=[None, DUE, MEMBERSHIPS], ids=["table", "index", "index by the table's own partition key"])
def walk(table: Table, request: pytest.FixtureRequest) -> Walk:
    return Walk(table, request.param)


def test_query_stops_at_limit(walk: Walk) -> None:
    assert walk.query() == "abcdefghijkl"
    assert walk.query(limit=3) == "abc"
    assert walk.query(limit=3, forward=False) == "lkj"
    assert walk.query(limit=12) == "abcdefghijkl"


def test_query_refuses_limit_of_zero(walk: Walk) -> None:
    with pytest.raises(ValueError, match="0"):
        walk.query(limit=0)


def test_between_includes_both_ends(walk: Walk) -> None:
    assert walk.query(between=("c", "f")) == "cdef"
    assert walk.query(between=("c", "f"), forward=False) == "fedc"
    assert walk.query(between=("c", "f"), limit=2) == "cd"
    assert walk.query(between=("c", "f"), limit=2, forward=False) == "fe"
    assert walk.query(between=("cc", "dd")) == "d"
    assert walk.query(between=("f", "f")) == "f"
    assert walk.query(between=("m", "z")) == ""


def test_query_continues_after_the_given_item(walk: Walk) -> None:
    assert walk.query(after="i") == "jkl"
    assert walk.query(after="l") == ""
    assert walk.query(after="d", forward=False) == "cba"
    assert walk.query(after="d", limit=2) == "ef"
    assert walk.query(after="d", between=("b", "f")) == "ef"
    assert walk.query(after="d", between=("b", "f"), forward=False) == "cb"
    assert walk.query(after="f", between=("b", "f")) == ""


def test_query_continues_after_an_item_at_an_end_of_the_range(walk: Walk) -> None:
    assert walk.query(after="b", between=("b", "f")) == "cdef"
    assert walk.query(after="f", between=("b", "f"), forward=False) == "edcb"
    assert walk.query(after="b", between=("b", "f"), forward=False) == ""
    assert walk.query(after="b", between=("b", "b")) == ""


@pytest.mark.parametrize("forward", [True, False])
def test_range_query_finds_all_items_with_the_sort_keys_of_its_ends(table: Table, forward: bool) -> None:
    keys = [Key(f"AC1#CH{number}", "conversation") for number in range(6)]
    put(
        table,
        *({**item_of(key), "due_shard": "P", "due_at": f"2026-0{number // 2}"} for number, key in enumerate(keys)),
    )
    found: list[Item] = []
    for _ in range(4):
        after = found[-1] if found else None
        found += table.query("P", index=DUE, between=("2026-00", "2026-01"), after=after, limit=1, forward=forward)
    assert table.query("P", index=DUE, between=("2026-00", "2026-01"), after=found[-1], limit=1, forward=forward) == []
    moments = ["2026-00", "2026-00", "2026-01", "2026-01"]
    assert [item["due_at"] for item in found] == (moments if forward else moments[::-1])
    assert {item["pk"] for item in found} == {key.pk for key in keys[:4]}


def test_query_continues_after_an_item_outside_the_range(walk: Walk) -> None:
    assert walk.query(after="a", between=("c", "e")) == "cde"
    assert walk.query(after="h", between=("c", "e")) == ""
    assert walk.query(after="h", between=("c", "e"), forward=False) == "edc"
    assert walk.query(after="a", between=("c", "e"), forward=False) == ""


def test_query_continues_after_a_deleted_item(walk: Walk) -> None:
    gone = walk.item("d")
    walk.table.transact([Delete(Key(str(gone["pk"]), str(gone["sk"])))])
    assert walk.query(after="d", limit=2) == "ef"
    assert walk.query(after="d", limit=2, forward=False) == "cb"


@pytest.mark.parametrize("forward", [True, False])
def test_pages_lose_no_item_with_equal_sort_keys(table: Table, forward: bool) -> None:
    keys = [Key(f"AC1#CH{number % 3}", f"{number:02}") for number in range(15)]
    put(
        table, *({**item_of(key), "due_shard": "P", "due_at": f"2026-0{number % 2}"} for number, key in enumerate(keys))
    )
    found: list[Item] = []
    while page := table.query("P", index=DUE, limit=4, after=found[-1] if found else None, forward=forward):
        found += page
    assert sorted(Key(str(item["pk"]), str(item["sk"])) for item in found) == sorted(keys)
    moments = [str(item["due_at"]) for item in found]
    assert moments == sorted(moments, reverse=not forward)


def test_index_has_items_with_both_attributes(table: Table) -> None:
    put(
        table,
        item_of(Key("A", "both"), due_shard="P", due_at="1"),
        item_of(Key("A", "partition"), due_shard="P"),
        item_of(Key("A", "sort"), due_at="1"),
        item_of(Key("A", "none")),
    )
    assert [item["sk"] for item in table.query("P", index=DUE, limit=10)] == ["both"]


def test_index_follows_every_kind_of_write(table: Table) -> None:
    def due(partition: str) -> list[tuple[Value, Value]]:
        return [(item["pk"], item["due_at"]) for item in table.query(partition, index=DUE, limit=10)]

    keys = {name: Key(name, "conversation") for name in "ABC"}
    put(table, *(item_of(key, due_shard="P", due_at=name) for name, key in keys.items()))
    table.update(Update(keys["A"], (Set("due_at", "Z"),)))
    assert due("P") == [("B", "B"), ("C", "C"), ("A", "Z")]
    table.update(Update(keys["B"], (Remove("due_at"),)))
    assert due("P") == [("C", "C"), ("A", "Z")]
    table.transact([Update(keys["A"], (Set("due_shard", "Q"),)), Put(item_of(keys["C"]))])
    assert due("P") == []
    assert due("Q") == [("A", "Z")]
    table.transact([Delete(keys["A"]), Update(keys["B"], (Set("due_at", "B"),))])
    assert due("Q") == []
    assert due("P") == [("B", "B")]


def test_query_continues_over_pages_of_one_megabyte(table: Table) -> None:
    put(table, *(item_of(Key("P", f"{number:02}"), text="x" * 300_000) for number in range(10)))
    assert [item["sk"] for item in table.query("P", limit=9)] == [f"{number:02}" for number in range(9)]
    assert len(table.query("P", limit=20)) == 10


# The template


def test_template_declares_the_indexes_of_the_code() -> None:
    properties = table_properties()
    assert properties["KeySchema"] == schema("pk", "sk")
    declared = {index["IndexName"]: index["KeySchema"] for index in properties["GlobalSecondaryIndexes"]}
    assert declared == {index.name: schema(index.partition, index.sort) for index in INDEXES}
    used = {"pk", "sk"} | {name for index in INDEXES for name in (index.partition, index.sort)}
    assert {definition["AttributeName"] for definition in properties["AttributeDefinitions"]} == used
    assert {definition["AttributeType"] for definition in properties["AttributeDefinitions"]} == {"S"}


def schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
