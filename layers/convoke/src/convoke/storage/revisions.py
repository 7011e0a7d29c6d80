"""Optimistic locking for a conversation and the resources that belong to the conversation.

A change with `revise` is one transaction. The transaction increments the revision of the conversation, and fails if the
stored revision is not the revision that the request read. Some changes do not use `revise`, for example a new read
position or the status of a receipt. See docs/decisions/0022-revision-optimistic-locking.md.
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
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)

EVENT_ID, STATE_EVENT_ID = "event_id", "state_event_id"
"""The attributes of a conversation that contain event ids."""


class ChangedMeanwhileError(Exception):
    """Optimistic locking failed: the resource was changed after this operation read the resource.

    `retry_on_conflict` in operations/conversations.py repeats most operations after this error.
    """


def revise(
    table: Table,
    before: Conversation,
    actions: Sequence[Action],
    change: Change | None,
    *,
    acquired_locks: Sequence[Lock] = (),
    other_writes: Iterable[Write] = (),
) -> None:
    """In one transaction, apply `actions` to the conversation, store `change`, and apply the other writes.

    The same transaction acquires the locks and increments the revision. `change` contains the events to publish. If
    `change` is None, nothing is published.

    Raises ChangedMeanwhileError if the stored conversation does not have the revision of `before`, or if a condition of
    `other_writes` fails. Otherwise, if another conversation holds a lock, raises the error of this lock.
    """
    try:
        table.transact(revision_writes(before, actions, change, acquired_locks, other_writes))
    except TransactionCanceledError as canceled:
        raise revision_error(acquired_locks, canceled) from canceled


def revision_writes(
    before: Conversation,
    actions: Sequence[Action],
    change: Change | None,
    acquired_locks: Sequence[Lock],
    other_writes: Iterable[Write],
) -> list[Write]:
    """Return the writes of `revise`."""
    key = keys.conversation(before.account_sid, before.sid)
    change = change and change.following(before.last_event_id)
    counts = (*event_id_actions(actions, change), Add("revision", 1)) if change else (Add("revision", 1),)
    revised = Update(key, (*actions, *counts), Equals("revision", before.revision))
    change_writes = [change_write(change)] if change else []
    # The locks are the first writes. The position of a failed write therefore identifies the lock that is held.
    acquisitions = [lock.acquire(before.sid) for lock in acquired_locks]
    return [*acquisitions, revised, *change_writes, *other_writes]


def event_id_actions(actions: Sequence[Action], change: Change) -> list[Action]:
    """Return the actions that store the event id of a change in the item of the conversation.

    If `actions` set the state, the event id is also stored as `state_event_id`.
    """
    names = [EVENT_ID]
    if any(action.name == "state" for action in actions):
        names.append(STATE_EVENT_ID)
    return [Set(name, change.last_event_id) for name in names]


def revision_error(acquired_locks: Sequence[Lock], canceled: TransactionCanceledError) -> Exception:
    """Return the error for a canceled transaction. The transaction contained the writes of `revision_writes`."""
    # The writes after the locks fail only if the conversation or a related item has changed. Then ignore the locks that
    # could not be acquired. A concurrent request may have acquired these locks for the same conversation.
    if max(canceled.failed) >= len(acquired_locks):
        return ChangedMeanwhileError()
    return collision_error(acquired_locks, canceled, first=0)


def locks_to_acquire(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock]) -> list[Lock]:
    """Return the locks in `wanted` that are not in `held`."""
    return [lock for key, lock in wanted.items() if key not in held]


def lock_releases(held: Mapping[Key, Lock], wanted: Mapping[Key, Lock], conversation_sid: str) -> list[Delete]:
    """Return the writes that release each lock that is in `held` but not in `wanted`."""
    return [lock.release(conversation_sid) for key, lock in held.items() if key not in wanted]


def differences(before: Conversation, after: Conversation) -> list[Action]:
    """Return the actions that turn the item of the conversation `before` into the item of the conversation `after`."""
    return items.differences(items.conversation_item(before), items.conversation_item(after))
