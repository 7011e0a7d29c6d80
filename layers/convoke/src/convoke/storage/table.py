"""The Table port: the five operations on which all repositories are written.

One table holds all items. An item has the string attributes `pk` (partition key) and `sk` (sort key). `keys.py`
declares the sparse indexes. Two engines implement the port: `aws/dynamodb.py` renders conditions and actions as
DynamoDB expressions, and `embedded/sqlite.py` evaluates them inside an SQL transaction. `tests/contract/test_table.py`
tests that both behave the same.

Both engines guarantee:

- Consistency: `get`, `get_many` and `query(consistent=True)` see every write that completed before the call. Any other
  query may miss the writes of the last milliseconds on DynamoDB; on SQLite it misses none.
- Isolation: `get_many` and `query` may return one write of a concurrent transaction without another write of it.
- Atomicity: `update` applies all actions or none. `transact` applies all writes or none.
- Conditions: each condition sees the item as it was before the update or the transaction. If a condition fails, nothing
  is changed, and the error contains the existing item.
- Limits: 100 keys in `get_many`, 100 writes and 4 MB in `transact`, 400 KB in an item, 2048 bytes in a partition key
  and 1024 bytes in a sort key. SQLite does not check sizes, so the repositories must stay below them.
- Errors: the engine retries conflicts between transactions, and DynamoDB's throttling. An error that persists is raised
  as the engine's own exception. After such an error, for example a timeout, a write may or may not have been applied.

DynamoDB's limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Value = str | int | bool | None | list["Value"] | dict[str, "Value"] | set[str]
"""The value of an attribute. A number is an integer of at most 64 bits. A set contains strings and is never empty."""

Item = dict[str, Value]

EXPIRES_AT = "expires_at"
"""The attribute of items that expire: the Unix time in seconds after which the engine may remove the item.

The engine removes it some time later. DynamoDB can take days:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html.
"""


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Index:
    """A sparse index: the items that have both attributes, partitioned by `partition` and ordered by `sort`.

    Items with the same value of `sort` are ordered by their primary keys on SQLite. On DynamoDB their order is stable,
    but undefined.
    """

    name: str
    partition: str
    sort: str
    projected: tuple[str, ...] = ()
    """Attributes that a query returns beside the keys of the item and of the index. Nothing else is returned."""


# Conditions. A condition on an absent attribute, or on an attribute of another type than the value, fails. NotExists is
# the exception. `Exists("pk")` and `NotExists("pk")` ask whether the item exists, because every item has the attribute.


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
    """The attribute is less than `value`. Strings are compared by their UTF-8 bytes."""

    name: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Contains:
    """The attribute is a set that contains `value`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class And:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    conditions: tuple[Condition, ...]


Condition = Exists | NotExists | Equals | LessThan | Contains | And | Or


# Actions of an update. An update has at least one action, and at most one for each attribute, none of them a key.


@dataclass(frozen=True, slots=True)
class Set:
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Remove:
    name: str


@dataclass(frozen=True, slots=True)
class Add:
    """Add a number to a number, or strings to a set. An absent attribute counts as 0 or as an empty set."""

    name: str
    value: int | frozenset[str]


@dataclass(frozen=True, slots=True)
class DeleteFromSet:
    """Remove strings from a set. A set that becomes empty is removed, because DynamoDB has no empty sets."""

    name: str
    values: frozenset[str]


Action = Set | Remove | Add | DeleteFromSet


# Writes of a transaction.


@dataclass(frozen=True, slots=True)
class Put:
    """Store an item. It replaces the item with the same key."""

    item: Item
    condition: Condition | None = None

    @property
    def key(self) -> Key:
        return key_of(self.item)


@dataclass(frozen=True, slots=True)
class Update:
    """Change attributes of the item with the key `key`. If no such item exists, one is created.

    Use the condition `Exists("pk")` if the update must not create an item.
    """

    key: Key
    actions: tuple[Action, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the item with the key `key`, if it exists."""

    key: Key
    condition: Condition | None = None


Write = Put | Update | Delete

MAX_WRITES = 100
"""DynamoDB's limit for one transaction.

See https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
"""


class ConditionFailedError(Exception):
    """The condition of an update failed, and nothing was changed. `item` is the existing item, or None."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of an update failed")
        self.item = item


class TransactionCanceledError(Exception):
    """At least one condition of a transaction failed, and nothing was changed.

    `failed` maps the position of each write whose condition failed to the existing item with its key, or None.
    """

    def __init__(self, failed: Mapping[int, Item | None]) -> None:
        super().__init__(f"the conditions of the writes {sorted(failed)} failed")
        self.failed = failed


class Table(Protocol):
    """The port. Any number of threads may call an implementation at the same time. The module docstring has more."""

    def get(self, key: Key) -> Item | None:
        """Return the item with the key `key`, or None. Strongly consistent."""

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return those of the items that exist. Each item is strongly consistent.

        `keys` may be empty or repeat a key. Raises ValueError for more than 100 keys.
        """

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
        """Return the first `limit` items of a partition of the table, or of `index`, ordered by sort key.

        `between` limits the sort keys to a range that includes both ends. `after` continues a query: it is the item
        after which the result begins, in the direction of the query. Only its key attributes are used, and the item
        need not exist. `forward=False` reverses the order. `consistent` makes a query of the table strongly
        consistent. It has no effect with an index, because DynamoDB's indexes are always eventually consistent.

        Fewer than `limit` items are returned only if there are no more. A query of `index` returns only the attributes
        that the index projects, on DynamoDB; SQLite returns whole items. Raises ValueError if `limit` is less than 1.
        """

    def update(self, update: Update) -> Item:
        """Apply one update and return the new item. Raises ConditionFailedError.

        On DynamoDB this costs half the write units of the same update in a transaction.
        """

    def transact(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none. Raises TransactionCanceledError if at least one condition fails.

        Raises ValueError if there are no writes or more than `MAX_WRITES`, or if two writes have the same key.
        """


def key_of(item: Mapping[str, Value]) -> Key:
    """Return the primary key of `item`. Raises ValueError if the item has no key."""
    pk, sk = item.get("pk"), item.get("sk")
    if not isinstance(pk, str) or not isinstance(sk, str):
        raise ValueError("an item needs the string attributes pk and sk")  # noqa: TRY004  (a wrong item, not type)
    return Key(pk, sk)


def writes_by_key(writes: Sequence[Write]) -> dict[Key, Write]:
    """Return the writes by their keys. Raises ValueError if an engine could not apply them in one transaction."""
    if not 1 <= len(writes) <= MAX_WRITES:
        raise ValueError(f"a transaction takes 1 to {MAX_WRITES} writes, not {len(writes)}")
    by_key = {write.key: write for write in writes}
    if len(by_key) < len(writes):
        raise ValueError("two writes of one transaction name the same key")
    return by_key
