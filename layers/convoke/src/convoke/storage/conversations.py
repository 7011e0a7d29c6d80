"""Store conversations and their locks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.idempotency import IdempotencyRecord, IdempotentRequest
from convoke.domain.instants import to_milliseconds
from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.domain.retention import WEBHOOKS_RETENTION
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys, lists
from convoke.storage.events import change_write
from convoke.storage.idempotency import idempotency_record_write
from convoke.storage.locks import collision_error, holder_sid, initial_locks, locks_held
from convoke.storage.media import remove_media_of
from convoke.storage.revisions import (
    EVENT_ID,
    ChangedMeanwhileError,
    differences,
    lock_releases,
    locks_to_acquire,
    revise,
)
from convoke.storage.sync_memory import departures_of_erased
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

ERASE_BATCH_SIZE = 25
"""The maximum number of items of a deleted conversation or service that one transaction removes.

DynamoDB limits a transaction to 4 MB. The largest message has about 120 KB, so 25 items fit.
"""

TOMBSTONE_ATTRIBUTES = ("date_removed", "attempts", "unsettled", keys.DUE.partition, keys.DUE.sort)
"""The attributes that the deletion of a conversation sets, besides revision and event ids.

The deletion writes all these attributes, and not only those that differ from the conversation that the request read.
The stored due time and the stored number of attempts may be newer, because the sweeper can change them without
incrementing the revision.
"""

LIST_ATTRIBUTES = (keys.LISTED.partition, keys.LISTED.sort)
"""The attributes that the deletion of a conversation removes. A conversation without these attributes is in no list."""


@lean_dataclass
class ConversationRepository:
    table: Table

    def create(
        self,
        conversation: Conversation,
        change: Change,
        provisioning: Provisioning | None,
        record: IdempotencyRecord | None = None,
    ) -> Conversation:
        """Store a conversation, its locks, its provisioning, its events and `record` in one transaction.

        Usually, the method returns `conversation`. If an earlier request had the same idempotency key and the same
        content, nothing is stored. The method then returns the conversation that the earlier request created, in its
        original state. An earlier request whose record has expired does not count.

        Raises IdempotencyKeyReusedError if an earlier request with the same idempotency key had other content. Raises
        UniqueNameTakenError, BindingsTakenError or GroupExistsError if another conversation holds a lock.
        """
        locks = initial_locks(conversation, provisioning)
        record_writes = [idempotency_record_write(record)] if record else []
        # The idempotency record and the locks are the first writes. The position of a failed write therefore identifies
        # the record or the lock that already exists.
        writes: list[Write] = [*record_writes, *(lock.acquire(conversation.sid) for lock in locks)]
        stored = conversation.model_copy(update={EVENT_ID: change.not_later(conversation.last_event_id)})
        writes.append(Put(items.conversation_item(stored), NotExists("pk")))
        writes.append(change_write(change))
        if provisioning is not None:
            writes.append(Put(items.provisioning_item(provisioning)))
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            # Check the record before the locks. If a request is repeated, the record exists, and the conversation of
            # the first request may hold the locks. The failed conditions of these locks are then not collisions.
            if record and (existing := canceled.failed.get(0)):
                return items.to_resource(IdempotencyRecord, existing).conversation_for(record)
            raise collision_error(locks, canceled, first=len(record_writes)) from canceled
        return conversation

    def find_repeated(self, account_sid: str, request: IdempotentRequest, now: datetime) -> Conversation | None:
        """Return the conversation that an earlier identical request created, in its original state.

        Returns None if there was no such request, or if its record has expired. Raises IdempotencyKeyReusedError if a
        different request used the key.
        """
        stored = self.table.get(keys.idempotency_record(account_sid, request.key))
        record = items.to_resource(IdempotencyRecord, stored) if stored else None
        # Ignore an expired record. In DynamoDB, the record may still exist for some days after its expiry date.
        return record.conversation_for(request) if record and record.date_expires >= now else None

    def fetch(self, account_sid: str, conversation_sid: str) -> Conversation | None:
        """Return a conversation, or None if the conversation does not exist or was deleted."""
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

        # The index is eventually consistent. A conversation that the index returns may already be deleted or have
        # another state.
        def is_shown(each: Conversation) -> bool:
            return not each.date_removed and filters.state in (None, each.state)

        return lists.list_page(Conversation, self.table, list_query, page, is_shown)

    def sid_of(self, account_sid: str, chat_service_sid: str, unique_name: str) -> str | None:
        """Return the SID of the conversation with this unique name, or None if there is no such conversation."""
        lock = self.table.get(keys.unique_name_lock(account_sid, chat_service_sid, unique_name))
        return holder_sid(lock) if lock else None

    def update(self, before: Conversation, after: Conversation, change: Change) -> None:
        """Store the changed attributes of a conversation, and update its locks, in one transaction.

        Raises UniqueNameTakenError if another conversation has the new unique name. Raises ChangedMeanwhileError if
        another request changed the conversation after this request read the conversation.
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

        `removed` is the conversation as a tombstone. The sweeper later removes the other items with `erase`, including
        the locks on identities. Raises ChangedMeanwhileError if another request changed the conversation after this
        request read the conversation. See docs/decisions/0023-tombstones.md.
        """
        tombstone = items.conversation_item(removed)
        # A conversation whose provisioning failed has already released its locks. Other conversations may hold these
        # locks now.
        failed = provisioning is not None and provisioning.status is ProvisioningStatus.FAILED
        deletes: list[Write] = [*lock_releases({} if failed else locks_held(before), {}, before.sid)]
        if provisioning is not None:
            # The participant queue may still contain a queue message for this conversation. Without the provisioning,
            # this queue message has no effect.
            deletes.append(Delete(_provisioning_key(provisioning)))
        actions: list[Action] = [
            *(Set(name, tombstone[name]) for name in TOMBSTONE_ATTRIBUTES),
            *map(Remove, LIST_ATTRIBUTES),
        ]
        revise(self.table, before, actions, change, other_writes=deletes)

    def erase(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> bool:
        """Remove all items of a deleted conversation except its webhooks. The webhooks get an expiry date.

        Before a message is removed, its media are marked as deleted. The transaction that removes a participant can
        also store that a User left the conversation (see `departures_of_erased`).

        The method calls `go_on` before each batch of items, and stops if `go_on` returns False. Returns whether all
        these items are removed. The tombstone is removed last, because it keeps the conversation in the index `due`.
        The sweeper therefore continues an interrupted removal.
        """
        tombstone = keys.conversation(account_sid, conversation_sid)
        webhooks = keys.scoped_webhooks(account_sid, conversation_sid)
        while go_on():
            found = self.table.query(tombstone.pk, limit=ERASE_BATCH_SIZE, consistent=True)
            batch = {key_of(item): item for item in found}
            others = [key for key in batch if key not in (tombstone, webhooks)]
            for item in found:
                if "media" in item:
                    remove_media_of(self.table, items.to_resource(Message, item), _removed_at(batch[tombstone]))
            # The tombstone has the first sort key of the partition ("conversation"). The webhooks have the last sort
            # key ("webhooks"). A batch that contains the tombstone and the webhooks therefore contains all remaining
            # items.
            expiries = [_webhooks_expiry(webhooks, batch[tombstone])] if {tombstone, webhooks} <= batch.keys() else []
            departures = departures_of_erased(batch.get(tombstone), [batch[key] for key in others])
            self.table.transact([*(Delete(key) for key in others or [tombstone]), *expiries, *departures])
            if not others:
                return True
        return False

    def claim(self, conversation: Conversation, due_at: datetime) -> bool:
        """Increment the number of attempts to finish or erase a conversation, and set its next due time to `due_at`.

        Returns False if the conversation has no due time, or if the stored due time is no longer the one in
        `conversation`. In the second case, usually another sweeper has claimed the conversation first.
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
        """Record that the event about the end of `initializing` is published.

        After that, the conversation is due only if one of its timers runs. Does nothing if the publication is already
        recorded, or if the conversation was deleted.
        """
        key = keys.conversation(account_sid, conversation_sid)
        no_timers = And((NotExists("date_inactive"), NotExists("date_closed")))
        actions: list[Action] = [Remove(keys.DUE.partition), Remove(keys.DUE.sort), Set("unsettled", value=False)]
        # Assume first that no timer runs, as in most conversations. Then one update without a read is enough. If the
        # condition fails, the error contains the existing item, so the next update needs no read either.
        existing = self._try_settle(key, actions, no_timers)
        while existing and existing.get("unsettled"):
            before = items.to_resource(Conversation, existing)
            after = before.model_copy(update={"unsettled": False}).due_for_timers()
            existing = self._try_settle(key, differences(before, after), Equals("revision", before.revision))

    def _try_settle(self, key: Key, actions: Sequence[Action], condition: Condition) -> Item | None:
        """Apply `actions` to a conversation that is unsettled and fulfils `condition`.

        Returns None if the actions were applied, or if the item no longer exists. Otherwise, nothing changes, and the
        method returns the existing item.
        """
        unsettled = Equals("unsettled", value=True)
        try:
            self.table.update(Update(key, (*actions, Add("revision", 1)), And((unsettled, condition))))
        except ConditionFailedError as failed:
            return failed.item
        return None

    def put_off(self, before: Conversation, after: Conversation) -> None:
        """Store a new due time for a conversation. Unlike `claim`, this method does not count an attempt.

        Raises ChangedMeanwhileError if another request changed the conversation after the caller read the conversation.
        """
        key, actions = keys.conversation(before.account_sid, before.sid), differences(before, after)
        # The new due time is computed from the timers that the caller read. The condition on the revision detects a
        # concurrent change of the timers. See docs/decisions/0042-restarted-timer-keeps-due-at.md.
        update = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
        if not _try_update(self.table, update):
            raise ChangedMeanwhileError


def _webhooks_expiry(webhooks: Key, tombstone: Item) -> Update:
    """Return the write that sets the expiry date of a deleted conversation's webhooks."""
    expiry = items.epoch_seconds(_removed_at(tombstone) + WEBHOOKS_RETENTION)
    return Update(webhooks, (Set(EXPIRES_AT, expiry),), Exists("pk"))


def _removed_at(tombstone: Item) -> datetime:
    return datetime.fromisoformat(str(tombstone["date_removed"]))


def _provisioning_key(provisioning: Provisioning) -> Key:
    return keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)


def _try_update(table: Table, update: Update) -> bool:
    try:
        table.update(update)
    except ConditionFailedError:
        return False
    return True
