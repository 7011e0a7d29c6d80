"""The Table port: the handful of verbs the repositories are written on.

One table holds everything. An item has a partition key `pk` and a sort key `sk`; the sparse indexes are declared in
`keys.py`. `dynamodb.py` renders what follows to expressions, `sqlite.py` evaluates it inside one SQL transaction, and
`tests/contract/test_table.py` holds both to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Value = str | int | bool | None | list["Value"] | dict[str, "Value"] | set[str]
"""What an attribute holds. A number is whole and has 64 bits at the most; a set holds strings and is never empty."""

Item = dict[str, Value]

EXPIRES_AT = "expires_at"
"""The attribute of items that are not kept for ever: the second, since 1970, after which they may be removed."""


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Index:
    """A sparse index: the items that have both attributes, ordered by `sort` inside one value of `partition`.

    Items that tie on `sort` come in the order of their primary keys on SQLite and in any stable order on DynamoDB.
    """

    name: str
    partition: str
    sort: str
    projected: tuple[str, ...] = ()
    """Attributes that a query returns beside the keys of the item and of the index. Nothing else is returned."""


# Conditions. One on an attribute that is absent, or of another type than the value, does not hold (except NotExists).


@dataclass(frozen=True, slots=True)
class Exists:
    name: str


@dataclass(frozen=True, slots=True)
class NotExists:
    name: str


@dataclass(frozen=True, slots=True)
class Equals:
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class LessThan:
    """Numbers by value, strings by their UTF-8 bytes."""

    name: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Contains:
    """The set `name` has the element `value`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class And:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    conditions: tuple[Condition, ...]


Condition = Exists | NotExists | Equals | LessThan | Contains | And | Or


# Actions of an update.


@dataclass(frozen=True, slots=True)
class Set:
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Remove:
    name: str


@dataclass(frozen=True, slots=True)
class Add:
    """Add a number to a number (an absent one counts as 0), or strings to a set (an absent one counts as empty)."""

    name: str
    value: int | frozenset[str]


@dataclass(frozen=True, slots=True)
class DeleteFromSet:
    """Take strings out of a set; a set that becomes empty is removed, as DynamoDB knows no empty set."""

    name: str
    values: frozenset[str]


Action = Set | Remove | Add | DeleteFromSet


# Writes of a transaction.


@dataclass(frozen=True, slots=True)
class Put:
    """Write the whole item, replacing what stands under its key."""

    item: Item
    condition: Condition | None = None

    @property
    def key(self) -> Key:
        return key_of(self.item)


@dataclass(frozen=True, slots=True)
class Update:
    """Change attributes of the item under `key`; where there is none, one is made, so say `Exists` if that is wrong."""

    key: Key
    actions: tuple[Action, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the item under `key`; removing what is not there is no failure."""

    key: Key
    condition: Condition | None = None


Write = Put | Update | Delete

MAX_WRITES = 100
"""Writes in one transaction (DynamoDB's limit)."""


class ConditionFailedError(Exception):
    """The condition of a single update did not hold; nothing was changed. `item` is what stands there, if anything."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of an update did not hold")
        self.item = item


class TransactionCanceledError(Exception):
    """At least one condition of a transaction did not hold; nothing was changed.

    `failed` maps the position of each write whose condition failed to the item that stands under its key.
    """

    def __init__(self, failed: Mapping[int, Item | None]) -> None:
        super().__init__(f"the conditions of the writes {sorted(failed)} did not hold")
        self.failed = failed


class Table(Protocol):
    """Implementations are safe to call from many threads. Transaction conflicts and throttling are retried inside."""

    def get(self, key: Key) -> Item | None:
        """The item under `key`, with every write that ended before (strongly consistent)."""

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of at most 100 items that are there, each strongly consistent."""

    def query(
        self,
        partition: str,
        *,
        limit: int,
        index: Index | None = None,
        between: tuple[str, str] | None = None,
        after: Item | None = None,
        forward: bool = True,
        consistent: bool = False,
    ) -> list[Item]:
        """The first `limit` items of a partition of the table, or of `index`, in the order of the sort key.

        `between` bounds the sort key, both ends included. `after` is an item (only its key attributes are looked at)
        behind which to go on; it need not exist any more. `forward=False` walks the other way. `consistent` holds
        for the table only: an index of DynamoDB is always eventually consistent.
        """

    def update(self, update: Update) -> Item:
        """Apply one update and answer the new item. Raises ConditionFailedError."""

    def transact(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none. Raises TransactionCanceledError.

        At most `MAX_WRITES`, no two on the same key: anything else is a mistake of the caller (ValueError).
        """


def key_of(item: Mapping[str, Value]) -> Key:
    """The primary key of `item`. Raises ValueError where it has none."""
    pk, sk = item.get("pk"), item.get("sk")
    if not isinstance(pk, str) or not isinstance(sk, str):
        raise ValueError("an item needs the string attributes pk and sk")  # noqa: TRY004  (a wrong item, not type)
    return Key(pk, sk)


def checked_writes(writes: Sequence[Write]) -> Sequence[Write]:
    """`writes` as they are. Raises ValueError where no engine could apply them."""
    if not 1 <= len(writes) <= MAX_WRITES:
        raise ValueError(f"a transaction takes 1 to {MAX_WRITES} writes, not {len(writes)}")
    if len({write.key for write in writes}) < len(writes):
        raise ValueError("two writes of one transaction name the same key")
    return writes
