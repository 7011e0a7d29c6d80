"""Conversations, their locks, and the index of due work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.idempotency import IdempotencyRecord, IdempotentRequest
from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.storage import items, keys, lists
from convoke.storage.events import change_write
from convoke.storage.idempotency import idempotency_record_write
from convoke.storage.locks import collision_error, holder_sid, initial_locks, locks_held
from convoke.storage.revisions import ChangedMeanwhileError, differences, lock_releases, locks_to_acquire, revise
from convoke.storage.table import (
    EXPIRES_AT,
    Action,
    Add,
    And,
    Condition,
    ConditionFailedError,
    Delete,
    Equals,
    Exists,
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

FIRST_INSTANT, LAST_INSTANT = "0", ":"
"""Strings that sort before and after every stored instant. DynamoDB refuses an empty string as a key."""

INSTANT_PRECISION = timedelta(milliseconds=1)
"""The shortest time between two different stored instants."""

DUE_PAGE_SIZE = 100
"""How many keys of due conversations are read in one query."""

ERASE_BATCH_SIZE = 25
"""How many items of a deleted conversation are removed in one transaction.

DynamoDB limits a transaction to 4 MB. The largest message has about 120 KB.
"""

WEBHOOKS_RETENTION = timedelta(days=14)
"""How long the webhooks of a deleted conversation are kept, so that its last events can still be delivered.

SQS keeps a dead letter for as long. See docs/decisions/0051-webhooks-outlive-conversation.md.
"""

TOMBSTONE_ATTRIBUTES = ("date_removed", "attempts", "unsettled", keys.DUE.partition, keys.DUE.sort)
"""The attributes that a deletion sets.

All are written, even if they do not differ from what was read: `claim` writes some of them without a new revision.
"""

LIST_ATTRIBUTES = (keys.LISTED.partition, keys.LISTED.sort)
"""The attributes that a deletion removes, so that the conversation is in no list."""


@dataclass(frozen=True, slots=True)
class ConversationRepository:
    table: Table

    def create(
        self,
        conversation: Conversation,
        change: Change,
        provisioning: Provisioning | None,
        record: IdempotencyRecord | None = None,
    ) -> Conversation:
        """Store a conversation, its locks, its provisioning and its events in one transaction.

        Returns the conversation. If the record of the same request exists, returns the conversation that the request
        created before, as it was then. Raises IdempotencyKeyReusedError if the record belongs to another request, and
        UniqueNameTakenError, BindingsTakenError or GroupExistsError if another conversation holds a lock.
        """
        locks = initial_locks(conversation, provisioning)
        record_writes = [idempotency_record_write(record)] if record else []
        # The record and the locks come first, so the position of a failed write says which one exists.
        writes: list[Write] = [*record_writes, *(lock.acquire(conversation.sid) for lock in locks)]
        writes.append(Put(items.conversation_item(conversation), NotExists("pk")))
        writes.append(change_write(change))
        if provisioning is not None:
            writes.append(Put(items.provisioning_item(provisioning)))
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            # A repeated request finds its record, and also its locks, held by the conversation that it created. The
            # record therefore counts first.
            if record and (existing := canceled.failed.get(0)):
                return items.to_resource(IdempotencyRecord, existing).conversation_for(record)
            raise collision_error(locks, canceled, first=len(record_writes)) from canceled
        return conversation

    def find_repeated(self, account_sid: str, request: IdempotentRequest, now: datetime) -> Conversation | None:
        """Return the conversation that the same request created before, as it was then, or None.

        Raises IdempotencyKeyReusedError if the key was used for another request.
        """
        stored = self.table.get(keys.idempotency_record(account_sid, request.key))
        record = items.to_resource(IdempotencyRecord, stored) if stored else None
        # DynamoDB may delete an expired record days later.
        return record.conversation_for(request) if record and record.date_expires >= now else None

    def fetch(self, account_sid: str, conversation_sid: str) -> Conversation | None:
        """Return a conversation, or None if it does not exist or was deleted."""
        stored = self.table.get(keys.conversation(account_sid, conversation_sid))
        return items.to_resource(Conversation, stored) if stored and "date_removed" not in stored else None

    def list(
        self, account_sid: str, chat_service_sid: str, filters: ConversationFilters, page: PageRequest
    ) -> Page[Conversation]:
        """Return a page of the conversations of a service, ordered by date of creation."""
        list_query = lists.ListQuery(
            account_sid,
            chat_service_sid,
            keys.list_range(filters.start_date, filters.end_date),
            after=page.position,
            only=("state", filters.state) if filters.state else None,
        )

        # The index may lag behind the item: the conversation may have been deleted, or have another state.
        def is_shown(each: Conversation) -> bool:
            return not each.date_removed and filters.state in (None, each.state)

        return lists.list_page(Conversation, self.table, list_query, page, is_shown)

    def sid_of(self, account_sid: str, chat_service_sid: str, unique_name: str) -> str | None:
        """Return the SID of the conversation that has a unique name, or None."""
        lock = self.table.get(keys.unique_name_lock(account_sid, chat_service_sid, unique_name))
        return holder_sid(lock) if lock else None

    def update(self, before: Conversation, after: Conversation, change: Change) -> None:
        """Store the changed attributes, and acquire and release locks accordingly, in one transaction.

        Raises ChangedMeanwhileError if another request changed the conversation after this request read it, or
        UniqueNameTakenError.
        """
        held, wanted = locks_held(before), locks_held(after)
        revise(
            self.table,
            before,
            differences(before, after),
            change,
            acquired_locks=locks_to_acquire(held, wanted),
            other_writes=lock_releases(held, wanted, before.sid),
        )

    def delete(
        self, before: Conversation, removed: Conversation, change: Change, provisioning: Provisioning | None
    ) -> None:
        """Turn a conversation into a tombstone, delete its provisioning and release its locks, in one transaction.

        The sweeper removes the other items with `erase`. Raises ChangedMeanwhileError if another request changed the
        conversation after this request read it. See docs/decisions/0023-tombstones.md.
        """
        tombstone = items.conversation_item(removed)
        # A conversation that failed has released its locks. Other conversations may hold them.
        failed = provisioning is not None and provisioning.status is ProvisioningStatus.FAILED
        deletes: list[Write] = [*lock_releases({} if failed else locks_held(before), {}, before.sid)]
        if provisioning is not None:
            # Without the provisioning, a late message to the participant adder has no effect.
            deletes.append(Delete(_provisioning_key(provisioning)))
        actions: list[Action] = [
            *(Set(name, tombstone[name]) for name in TOMBSTONE_ATTRIBUTES),
            *map(Remove, LIST_ATTRIBUTES),
        ]
        revise(self.table, before, actions, change, other_writes=deletes)

    def erase(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> None:
        """Remove all items of a deleted conversation except its webhooks, which get an expiry date.

        Removes one batch after another as long as `go_on` returns True. The tombstone goes last, so the conversation
        stays due until nothing else is left.
        """
        tombstone = keys.conversation(account_sid, conversation_sid)
        webhooks = keys.scoped_webhooks(account_sid, conversation_sid)
        while go_on():
            found = self.table.query(tombstone.pk, limit=ERASE_BATCH_SIZE, consistent=True)
            batch = {key_of(item): item for item in found}
            others = [key for key in batch if key not in (tombstone, webhooks)]
            # "conversation" is the first sort key of the partition and "webhooks" the last. A batch that has both has
            # everything that is left.
            expiries = [_webhooks_expiry(webhooks, batch[tombstone])] if {tombstone, webhooks} <= batch.keys() else []
            self.table.transact([*(Delete(key) for key in others or [tombstone]), *expiries])
            if not others:
                break

    def claim(self, conversation: Conversation, due_at: datetime) -> bool:
        """Count an attempt to finish a conversation, and make it due again at `due_at`.

        Returns False if another sweeper did so first: the write is conditional on the `due_at` that was read.
        """
        seen = conversation.due_at
        if seen is None:
            return False
        update = Update(
            keys.conversation(conversation.account_sid, conversation.sid),
            (Set(keys.DUE.sort, to_milliseconds(due_at)), Add("attempts", 1)),
            Equals(keys.DUE.sort, to_milliseconds(seen)),
        )
        return _try_update(self.table, update)

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        """Record that the event of leaving `initializing` is published. Does nothing if that is recorded already.

        The conversation is then due only for its timers, if any run.
        """
        key = keys.conversation(account_sid, conversation_sid)
        no_timers = And((NotExists("date_inactive"), NotExists("date_closed")))
        actions: list[Action] = [Remove(keys.DUE.partition), Remove(keys.DUE.sort), Set("unsettled", value=False)]
        # Most conversations have no timers, and one update without a read is enough. If the condition fails, DynamoDB
        # returns the existing item, so no read is needed for the next update either.
        existing = self._try_settle(key, actions, no_timers)
        while existing and existing.get("unsettled"):
            before = items.to_resource(Conversation, existing)
            after = before.model_copy(update={"unsettled": False}).due_for_timers()
            existing = self._try_settle(key, differences(before, after), Equals("revision", before.revision))

    def _try_settle(self, key: Key, actions: Sequence[Action], condition: Condition) -> Item | None:
        """Apply `actions`. If `condition` fails or the conversation is settled, return the existing item instead."""
        unsettled = Equals("unsettled", value=True)
        try:
            self.table.update(Update(key, (*actions, Add("revision", 1)), And((unsettled, condition))))
        except ConditionFailedError as failed:
            return failed.item
        return None

    def put_off(self, before: Conversation, after: Conversation) -> None:
        """Store when the conversation is due.

        Raises ChangedMeanwhileError if another request changed the conversation after this request read it.
        """
        key, actions = keys.conversation(before.account_sid, before.sid), differences(before, after)
        # The new time follows from the timers that were read, so a concurrent change of the timers must fail. See
        # docs/decisions/0042-restarted-timer-keeps-due-at.md.
        update = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
        if not _try_update(self.table, update):
            raise ChangedMeanwhileError

    def due(self, until: datetime) -> Iterator[tuple[str, str]]:
        """Iterate over the account and conversation SIDs of the conversations that are due at `until` or before.

        Each page is read when the iteration reaches it. The index is eventually consistent, so the conversation must be
        read before it is processed.
        """
        for shard in keys.due_shards():
            for stored in self._due_in(shard, until):
                yield keys.sids_of_conversation(key_of(stored))

    def next_due(self, after: datetime) -> datetime | None:
        """Return the first time later than `after` at which a conversation is due, or None."""
        between = (to_milliseconds(after + INSTANT_PRECISION), LAST_INSTANT)
        pages = [self.table.query(shard, index=keys.DUE, between=between, limit=1) for shard in keys.due_shards()]
        instants = [datetime.fromisoformat(str(item[keys.DUE.sort])) for page in pages for item in page]
        return min(instants, default=None)

    def _due_in(self, shard: str, until: datetime) -> Iterator[Item]:
        between, after = (FIRST_INSTANT, to_milliseconds(until)), None
        while page := self.table.query(shard, index=keys.DUE, between=between, after=after, limit=DUE_PAGE_SIZE):
            yield from page
            after = page[-1]


def _webhooks_expiry(webhooks: Key, tombstone: Item) -> Update:
    """Return the write that lets the webhooks of a deleted conversation expire."""
    removed = datetime.fromisoformat(str(tombstone["date_removed"]))
    return Update(webhooks, (Set(EXPIRES_AT, items.epoch_seconds(removed + WEBHOOKS_RETENTION)),), Exists("pk"))


def _provisioning_key(provisioning: Provisioning) -> Key:
    return keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)


def _try_update(table: Table, update: Update) -> bool:
    try:
        table.update(update)
    except ConditionFailedError:
        return False
    return True
