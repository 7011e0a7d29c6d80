"""The Table port: the five operations that all repositories use.

One table holds all items. An item has the string attributes `pk` (partition key) and `sk` (sort key). `keys.py`
declares the sparse indexes. Two engines implement the port. `aws/dynamodb.py` renders conditions and actions as
DynamoDB expressions. `embedded/sqlite.py` evaluates conditions and actions inside an SQL transaction.
`tests/contract/test_table.py` tests that the engines behave in the same way.

All engines have these properties:

- Consistency: `get`, `get_many` and `query(consistent=True)` see every write that completed before the call. On
  DynamoDB, any other query, and `get_many(consistent=False)`, may miss the writes of the last milliseconds. On SQLite,
  every read sees all writes.
- Isolation: `get_many` and `query` may see only some of the writes of a concurrent transaction.
- Atomicity: `update` applies all actions or none. `transact` applies all writes or none.
- Conditions: each condition is checked against the item as it was before the update or the transaction. If a condition
  fails, nothing is changed, and the error contains the existing item.
- Limits: `transact` accepts at most 100 writes with a total size of at most 4 MB.
  An item has at most 400 KB, a partition key at most 2048 bytes and a sort key at most 1024 bytes. The repositories
  must respect the maximum sizes, because the SQLite engine does not check sizes.
- Errors: the engine retries transactions that conflict, and calls that DynamoDB throttles. If an error persists, the
  engine raises its own exception, for example a timeout. The caller then cannot know whether a write was applied.

DynamoDB's limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from convoke.lean_dataclass import lean_dataclass

Value = str | int | bool | None | list["Value"] | dict[str, "Value"] | set[str]
"""The value of an attribute. A number is an integer of at most 64 bits. A set contains strings and is never empty."""

Item = dict[str, Value]

EXPIRES_AT = "expires_at"
"""The name of the attribute that contains the expiry date of an item, as a Unix time in seconds.

The engine removes the item some time after the expiry date. DynamoDB can take days:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html.
"""


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str


@lean_dataclass
class Index:
    """A sparse index. The index contains only the items that have the attributes `partition` and `sort`.

    On SQLite, items with the same value of `sort` are ordered by primary key. On DynamoDB, the order of such items is
    stable but undefined.
    """

    name: str
    partition: str
    """The name of the attribute that determines the partition of an item."""
    sort: str
    """The name of the attribute that orders the items of a partition."""
    projected: tuple[str, ...] = ()
    """The names of the attributes that a query returns in addition to the key attributes."""


# Conditions. If an attribute is absent, every condition on this attribute except NotExists fails. Equals and LessThan
# also fail if the attribute and the value have different types. Contains also fails if the attribute is not a set.
# `Exists("pk")` and `NotExists("pk")` check whether the item exists, because every item has the attribute `pk`.


@lean_dataclass
class Exists:
    name: str


@lean_dataclass
class NotExists:
    name: str


@lean_dataclass
class Equals:
    name: str
    value: Value


@lean_dataclass
class LessThan:
    """The attribute is less than `value`. Strings are compared by their UTF-8 bytes."""

    name: str
    value: str | int


@lean_dataclass
class Contains:
    """The attribute is a set that contains `value`."""

    name: str
    value: str


@lean_dataclass
class And:
    conditions: tuple[Condition, ...]


@lean_dataclass
class Or:
    conditions: tuple[Condition, ...]


Condition = Exists | NotExists | Equals | LessThan | Contains | And | Or


# Actions of an update. An update has at least one action. An update has at most one action for each attribute. No
# action changes `pk` or `sk`.


@lean_dataclass
class Set:
    name: str
    value: Value


@lean_dataclass
class Remove:
    name: str


@lean_dataclass
class Add:
    """Add a number to a number, or strings to a set. An absent attribute is treated as 0 or as an empty set."""

    name: str
    value: int | frozenset[str]


@lean_dataclass
class DeleteFromSet:
    """Remove strings from a set. A set that becomes empty is removed, because DynamoDB cannot store empty sets."""

    name: str
    values: frozenset[str]


Action = Set | Remove | Add | DeleteFromSet


# Writes of a transaction.


@lean_dataclass
class Put:
    """Store an item. An existing item with the same key is replaced."""

    item: Item
    condition: Condition | None = None

    @property
    def key(self) -> Key:
        return key_of(self.item)


@lean_dataclass
class Update:
    """Change attributes of the item with the key `key`. If the item does not exist, the update creates the item.

    Use the condition `Exists("pk")` if the update must not create an item.
    """

    key: Key
    actions: tuple[Action, ...]
    condition: Condition | None = None


@lean_dataclass
class Delete:
    """Remove the item with the key `key`. If the item does not exist, nothing is removed.

    The condition is checked even if the item does not exist.
    """

    key: Key
    condition: Condition | None = None


Write = Put | Update | Delete

MAX_KEYS_PER_BATCH = 100
"""The maximum number of keys in one BatchGetItem of DynamoDB.

See https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html.
"""

MAX_WRITES = 100
"""The maximum number of writes in one transaction of DynamoDB.

See https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
"""


class ConditionFailedError(Exception):
    """The condition of an update failed, and nothing was changed.

    `item` is the item that is stored under the update's key, or None if no item exists.
    """

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of an update failed")
        self.item = item


class TransactionCanceledError(Exception):
    """At least one condition of a transaction failed, and nothing was changed.

    `failed` has one entry for each write whose condition failed. The key of the entry is the write's position in the
    transaction. The value is the item that is stored under the write's key, or None if no item exists.
    """

    def __init__(self, failed: Mapping[int, Item | None]) -> None:
        super().__init__(f"the conditions of the writes {sorted(failed)} failed")
        self.failed = failed


class Table(Protocol):
    """The Table port. The docstring of this module lists the properties of all engines.

    Any number of threads may call an implementation at the same time.
    """

    def get(self, key: Key) -> Item | None:
        """Return the item with the key `key`, or None. The read is strongly consistent."""

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        """Return a dict that maps the key of each existing item to the item.

        If `consistent` is True, the read of each item is strongly consistent. On DynamoDB, an eventually consistent
        read (`consistent` is False) costs half as much. `keys` may be empty. The same key may occur more than once.
        The engine reads batches of at most `MAX_KEYS_PER_BATCH` items, one after the other.
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
        """Return the first `limit` items of a partition, ordered by sort key. Without `index`, the table is queried.

        - `between` limits the sort keys to a range. The range includes its first and its last sort key.
        - `after` continues a query: the result begins after the item `after`, in the direction of the query. Only the
          key attributes of `after` are used, and the item need not exist.
        - `forward=False` reverses the order.
        - `consistent` makes a query of the table strongly consistent. A query of an index ignores `consistent`, because
          DynamoDB's indexes are always eventually consistent.

        The result has fewer than `limit` items only if there are no more items. A query of `index` returns only the key
        attributes and the attributes in `index.projected`. Raises ValueError if `limit` is less than 1.
        """

    def update(self, update: Update) -> Item:
        """Apply one update and return the new item. Raises ConditionFailedError if the condition fails.

        On DynamoDB, a single update costs half the write units of the same update in a transaction.
        """

    def transact(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none. Raises TransactionCanceledError if at least one condition fails.

        Raises ValueError if there are no writes or more than `MAX_WRITES`, or if two writes have the same key.
        """


def key_of(item: Mapping[str, Value]) -> Key:
    """Return the primary key of `item`. Raises ValueError if the item has no key."""
    pk, sk = item.get("pk"), item.get("sk")
    if not isinstance(pk, str) or not isinstance(sk, str):
        raise ValueError("an item needs the string attributes pk and sk")  # noqa: TRY004  (the item is wrong, not its type)

    return Key(pk, sk)


def batches_of_keys(keys: Sequence[Key]) -> Iterator[list[Key]]:
    """Yield batches of at most `MAX_KEYS_PER_BATCH` keys. Each key is in one batch only."""
    distinct = list(dict.fromkeys(keys))
    for start in range(0, len(distinct), MAX_KEYS_PER_BATCH):
        yield distinct[start : start + MAX_KEYS_PER_BATCH]


def writes_by_key(writes: Sequence[Write]) -> dict[Key, Write]:
    """Map the key of each item to the write for this item.

    Raises ValueError if there are no writes or more than `MAX_WRITES`, or if two writes have the same key.
    """
    if not 1 <= len(writes) <= MAX_WRITES:
        raise ValueError(f"a transaction takes 1 to {MAX_WRITES} writes, not {len(writes)}")
    by_key = {write.key: write for write in writes}
    if len(by_key) < len(writes):
        raise ValueError("two writes of one transaction name the same key")
    return by_key
