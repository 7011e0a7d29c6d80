"""Evaluate the conditions and update actions of the port `Table` in memory, without SQLite."""

from __future__ import annotations

from collections.abc import Iterable

from convoke.storage.table import (
    Add,
    And,
    Condition,
    Contains,
    DeleteFromSet,
    Equals,
    Exists,
    Item,
    LessThan,
    NotExists,
    Or,
    Remove,
    Set,
    Update,
    Value,
    Write,
)


def holds(condition: Condition, item: Item) -> bool:
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
            return all(holds(part, item) for part in conditions)
        case Or(conditions):
            return any(holds(part, item) for part in conditions)


def _same(one: Value, other: Value) -> bool:
    """Return whether two values are equal. Unlike in Python, 1 and True differ, also inside lists and maps."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return one == other


def _less(standing: Value, value: str | int) -> bool:
    # DynamoDB compares strings as UTF-8 bytes, and Python compares code points. The order is the same.
    if isinstance(value, str):
        return isinstance(standing, str) and standing < value
    return isinstance(standing, int) and not isinstance(standing, bool) and standing < value


def check_updates(writes: Iterable[Write]) -> None:
    """Raise ValueError if an update in `writes` has no action, changes an attribute twice, or changes the key.

    DynamoDB would refuse the update.
    """
    for update in writes:
        if not isinstance(update, Update):
            continue
        names = {action.name for action in update.actions}
        if not names or len(names) < len(update.actions):
            raise ValueError("an update has at least one action, and one an attribute")
        if names & {"pk", "sk"}:
            raise ValueError("an update cannot change the key of an item")


def updated(standing: Item | None, update: Update) -> Item:
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
        raise ValueError(f"the attribute {name} is not a set")  # noqa: TRY004 - same error as for every mistake
    rest = standing - values
    if rest:
        item[name] = rest
    else:
        item.pop(name, None)
