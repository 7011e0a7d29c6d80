"""Changes of a conversation and of what belongs to it: each one transaction, where it is still as it was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.storage import items, keys
from convoke.storage.events import recorded
from convoke.storage.locks import Lock, collision
from convoke.storage.table import (
    Action,
    Add,
    Delete,
    Equals,
    Key,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)


class ChangedMeanwhileError(Exception):
    """Optimistic locking failed: another request changed the conversation after this one read it."""


def revise(
    table: Table,
    before: Conversation,
    actions: Sequence[Action],
    change: Change | None,
    *,
    acquired: Sequence[Lock] = (),
    beside: Iterable[Write] = (),
) -> None:
    """The locks come first, so that a lock that is held is found by its position. Without `change` nobody is told.

    Raises ChangedMeanwhileError, or the errors of the locks that are held.
    """
    key = keys.conversation(before.account_sid, before.sid)
    revised = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
    told = [recorded(change)] if change else []
    try:
        table.transact([*(lock.acquire(before.sid) for lock in acquired), revised, *told, *beside])
    except TransactionCanceledError as canceled:
        if max(canceled.failed) >= len(acquired):
            raise ChangedMeanwhileError from canceled
        raise collision(acquired, canceled, first=0) from canceled


def gained(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock]) -> list[Lock]:
    return [lock for key, lock in wanted.items() if key not in held]


def releases(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock], conversation_sid: str) -> list[Delete]:
    return [lock.release(conversation_sid) for key, lock in held.items() if key not in wanted]


def differences(before: Conversation, after: Conversation) -> list[Action]:
    return items.differences(items.conversation_item(before), items.conversation_item(after))
