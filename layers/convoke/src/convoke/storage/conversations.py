"""Conversations, their locks, and what is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.conversations import Conversation
from convoke.domain.errors import refusal
from convoke.domain.events import Change
from convoke.domain.instants import to_milliseconds
from convoke.domain.provisioning import Provisioning
from convoke.storage import items, keys
from convoke.storage.locks import Lock, holder, locks_of
from convoke.storage.table import (
    Add,
    ConditionFailedError,
    Equals,
    Item,
    Key,
    NotExists,
    Put,
    Remove,
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Write,
    key_of,
)

EARLIEST = "0"
"""Sorts before every moment; DynamoDB takes no empty text for a key."""

DUE_PAGE = 100
"""Keys of due conversations read at a time."""


@dataclass(frozen=True, slots=True)
class ConversationTable:
    table: Table

    def create(self, conversation: Conversation, change: Change, provisioning: Provisioning | None) -> None:
        """One transaction (promise 2). The locks come first, so that a failed write is found by its position."""
        locks = locks_of(conversation, provisioning)
        writes: list[Write] = [lock.acquire(conversation.sid) for lock in locks]
        writes.append(Put(items.conversation_item(conversation), NotExists("pk")))
        writes.append(Put(items.item(keys.change(change.account_sid, change.sid), change)))
        if provisioning is not None:
            writes.append(Put(items.item(_provisioning_key(provisioning), provisioning)))
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            raise _collision(locks, canceled) from canceled

    def fetch(self, account_sid: str, conversation_sid: str) -> Conversation | None:
        stored = self.table.get(keys.conversation(account_sid, conversation_sid))
        return items.resource(Conversation, stored) if stored else None

    def fetch_by_unique_name(self, account_sid: str, chat_service_sid: str, name: str) -> Conversation | None:
        lock = self.table.get(keys.unique_name_lock(account_sid, chat_service_sid, name))
        return self.fetch(account_sid, holder(lock)) if lock else None

    def claim(self, conversation: Conversation, due_at: datetime) -> bool:
        seen = conversation.due_at
        if seen is None:
            return False
        moved = Update(
            keys.conversation(conversation.account_sid, conversation.sid),
            (Set(keys.DUE.sort, to_milliseconds(due_at)), Add("attempts", 1)),
            Equals(keys.DUE.sort, to_milliseconds(seen)),
        )
        return _applied(self.table, moved)

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        settled = Update(
            keys.conversation(account_sid, conversation_sid),
            (Remove(keys.DUE.partition), Remove(keys.DUE.sort), Set("unsettled", value=False)),
            Equals("unsettled", value=True),
        )
        _applied(self.table, settled)

    def due(self, until: datetime) -> Iterator[tuple[str, str]]:
        for shard in keys.due_shards():
            for stored in self._due_in(shard, until):
                yield keys.sids_of_conversation(key_of(stored))

    def _due_in(self, shard: str, until: datetime) -> Iterator[Item]:
        between, after = (EARLIEST, to_milliseconds(until)), None
        while page := self.table.query(shard, index=keys.DUE, between=between, after=after, limit=DUE_PAGE):
            yield from page
            after = page[-1]


def _provisioning_key(provisioning: Provisioning) -> Key:
    return keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)


def _collision(locks: list[Lock], canceled: TransactionCanceledError) -> Exception:
    """The error of every lock that is held, or the cancellation itself where a SID came up twice."""
    standing = [(lock, canceled.failed.get(position)) for position, lock in enumerate(locks)]
    taken = [lock.taken(holder(item)) for lock, item in standing if item]
    return refusal(taken) if taken else canceled


def _applied(table: Table, update: Update) -> bool:
    try:
        table.update(update)
    except ConditionFailedError:
        return False
    return True
