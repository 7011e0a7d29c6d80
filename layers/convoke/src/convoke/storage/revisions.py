"""Optimistic locking: change a conversation, or a resource that belongs to it, in one transaction.

Each transaction is conditional on the revision of the conversation that the request read, and increments it. See
docs/decisions/0022-revision-optimistic-locking.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.storage import items, keys
from convoke.storage.events import change_write
from convoke.storage.locks import Lock, collision_error
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
    acquired_locks: Sequence[Lock] = (),
    other_writes: Iterable[Write] = (),
) -> None:
    """Apply `actions` to the conversation and the other writes to other items, in one transaction.

    `change` has the events of the change; without it, nothing is published. Raises ChangedMeanwhileError if the
    conversation has another revision, or the errors of the locks that other conversations hold.
    """
    key = keys.conversation(before.account_sid, before.sid)
    revised = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
    change_writes = [change_write(change)] if change else []
    # The locks come first, so the position of a failed write says which lock is held.
    acquisitions = [lock.acquire(before.sid) for lock in acquired_locks]
    try:
        table.transact([*acquisitions, revised, *change_writes, *other_writes])
    except TransactionCanceledError as canceled:
        # If the revision does not match, a failed lock means nothing: the conversation may hold the lock itself by now.
        if max(canceled.failed) >= len(acquired_locks):
            raise ChangedMeanwhileError from canceled
        raise collision_error(acquired_locks, canceled, first=0) from canceled


def locks_to_acquire(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock]) -> list[Lock]:
    """Return the wanted locks that are not held."""
    return [lock for key, lock in wanted.items() if key not in held]


def lock_releases(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock], conversation_sid: str) -> list[Delete]:
    """Return the writes that release the held locks that are no longer wanted."""
    return [lock.release(conversation_sid) for key, lock in held.items() if key not in wanted]


def differences(before: Conversation, after: Conversation) -> list[Action]:
    """Return the actions that turn the stored item of `before` into that of `after`."""
    return items.differences(items.conversation_item(before), items.conversation_item(after))
