"""Conversations, their locks, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.idempotency import IdempotencyRecord
from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.storage import idempotency, items, keys, lists
from convoke.storage.events import recorded
from convoke.storage.locks import collision, holder, locks_held, locks_of_new
from convoke.storage.revisions import ChangedMeanwhileError, differences, gained, releases, revise
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
"""Sort before and behind every moment; DynamoDB takes no empty text for a key."""

INSTANT = timedelta(milliseconds=1)
"""The shortest time between two moments."""

DUE_PAGE_SIZE = 100
"""Keys of due conversations read at a time."""

ERASE_BATCH_SIZE = 25
"""Items of a deleted conversation that are read, and all but its own removed, at a time. DynamoDB limits a transaction
to 4 MB, and the largest message has some 120 KB.
"""

WEBHOOKS_RETENTION = timedelta(days=14)
"""How long the webhooks of a deleted conversation stay, so that whoever splits its last events knows whom to tell: as
long as SQS keeps a dead letter.
"""

TOMBSTONE = ("date_removed", "attempts", "unsettled", keys.DUE.partition, keys.DUE.sort)
"""The attributes that make one of a conversation. All are written, as others may be writing some of them."""

UNLISTED = (keys.LISTED.partition, keys.LISTED.sort)
"""The attributes that it has no more."""


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
        """Store all of it with every lock, or nothing. Answers what was created.

        Where `record` stands already, that is what the same request created before, as it was then; another one
        raises IdempotencyKeyReusedError. Raises UniqueNameTakenError, BindingsTakenError or GroupExistsError for the
        lock that another conversation holds.

        One transaction (promise 2). Record and locks come first, so that a failed write is found by its position.

        A request that was there before finds its record, and the locks held by what it has created itself.
        """
        locks = locks_of_new(conversation, provisioning)
        kept = [idempotency.record(record)] if record else []
        writes: list[Write] = [*kept, *(lock.acquire(conversation.sid) for lock in locks)]
        writes.append(Put(items.conversation_item(conversation), NotExists("pk")))
        writes.append(recorded(change))
        if provisioning is not None:
            writes.append(Put(items.provisioning_item(provisioning)))
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            if record and (standing := canceled.failed.get(0)):
                return items.resource(IdempotencyRecord, standing).conversation_for(record)
            raise collision(locks, canceled, first=len(kept)) from canceled
        return conversation

    def fetch(self, account_sid: str, conversation_sid: str) -> Conversation | None:
        """None too where it is deleted."""
        stored = self.table.get(keys.conversation(account_sid, conversation_sid))
        return items.resource(Conversation, stored) if stored and "date_removed" not in stored else None

    def list(
        self, account_sid: str, chat_service_sid: str, filters: ConversationFilters, page: PageRequest
    ) -> Page[Conversation]:
        """Those of a service by their date of creation, deleted ones left out."""
        listing = lists.Listing(
            account_sid,
            chat_service_sid,
            keys.list_range(filters.start_date, filters.end_date),
            after=page.position,
            only=("state", filters.state) if filters.state else None,
        )

        def is_shown(each: Conversation) -> bool:
            return not each.date_removed and filters.state in (None, each.state)

        return lists.page_of(Conversation, self.table, listing, page, is_shown)

    def sid_of(self, account_sid: str, chat_service_sid: str, unique_name: str) -> str | None:
        lock = self.table.get(keys.unique_name_lock(account_sid, chat_service_sid, unique_name))
        return holder(lock) if lock else None

    def update(self, before: Conversation, after: Conversation, change: Change) -> None:
        """Store what has changed of it, and take and release the locks that follow from it, or nothing of all that.

        Raises ChangedMeanwhileError where it is not what was read any more, or UniqueNameTakenError.
        """
        held, wanted = locks_held(before), locks_held(after)
        revise(
            self.table,
            before,
            differences(before, after),
            change,
            acquired=gained(held, wanted),
            beside=releases(held, wanted, before.sid),
        )

    def delete(
        self, before: Conversation, removed: Conversation, change: Change, provisioning: Provisioning | None
    ) -> None:
        """Make a tombstone of it, and release every lock. Raises ChangedMeanwhileError.

        `provisioning` goes with it, and says whether its locks were released before.

        The provisioning goes at once: without it, whoever comes late to add members finds nothing to do.
        """
        tombstone = items.conversation_item(removed)
        failed = provisioning is not None and provisioning.status is ProvisioningStatus.FAILED
        gone: list[Write] = [*releases({} if failed else locks_held(before), {}, before.sid)]
        if provisioning is not None:
            gone.append(Delete(_provisioning_key(provisioning)))
        actions: list[Action] = [*(Set(name, tombstone[name]) for name in TOMBSTONE), *map(Remove, UNLISTED)]
        revise(self.table, before, actions, change, beside=gone)

    def erase(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> None:
        """Remove what is left of one that is deleted, page by page while `go_on` says so, and itself last."""
        own = keys.conversation(account_sid, conversation_sid)
        webhooks = keys.scoped_webhooks(account_sid, conversation_sid)
        while go_on():
            page = {key_of(item): item for item in self.table.query(own.pk, limit=ERASE_BATCH_SIZE, consistent=True)}
            others = [key for key in page if key not in (own, webhooks)]
            outlasting = [_outlasting(webhooks, page[own])] if {own, webhooks} <= page.keys() else []
            self.table.transact([*(Delete(key) for key in others or [own]), *outlasting])
            if not others:
                break

    def claim(self, conversation: Conversation, due_at: datetime) -> bool:
        """Count an attempt and put off the next one to `due_at`; False where somebody else did so first."""
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
        """Nothing is left to publish; from now on it is due for its timers, if any run. May be said again.

        One write where no timer runs; where one does, it tells what has to be known to do it again.
        """
        key = keys.conversation(account_sid, conversation_sid)
        no_timers = And((NotExists("date_inactive"), NotExists("date_closed")))
        actions: list[Action] = [Remove(keys.DUE.partition), Remove(keys.DUE.sort), Set("unsettled", value=False)]
        standing = self._settled(key, actions, no_timers)
        while standing and standing.get("unsettled"):
            before = items.resource(Conversation, standing)
            after = before.model_copy(update={"unsettled": False}).due_for_timers()
            standing = self._settled(key, differences(before, after), Equals("revision", before.revision))

    def _settled(self, key: Key, actions: Sequence[Action], condition: Condition) -> Item | None:
        """What stands there in its place where `condition` does not hold, or it is settled already."""
        unsettled = Equals("unsettled", value=True)
        try:
            self.table.update(Update(key, (*actions, Add("revision", 1)), And((unsettled, condition))))
        except ConditionFailedError as failed:
            return failed.item
        return None

    def put_off(self, before: Conversation, after: Conversation) -> None:
        """Store when it is due. Raises ChangedMeanwhileError where it is not what was read any more."""
        key, actions = keys.conversation(before.account_sid, before.sid), differences(before, after)
        moved = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
        if not _applied(self.table, moved):
            raise ChangedMeanwhileError

    def due(self, until: datetime) -> Iterator[tuple[str, str]]:
        """Account and conversation SIDs of what is due by `until`, read page by page as the iteration goes on."""
        for shard in keys.due_shards():
            for stored in self._due_in(shard, until):
                yield keys.sids_of_conversation(key_of(stored))

    def next_due(self, after: datetime) -> datetime | None:
        """When something is due first, later than at that moment."""
        between = (to_milliseconds(after + INSTANT), LAST_INSTANT)
        first = [self.table.query(shard, index=keys.DUE, between=between, limit=1) for shard in keys.due_shards()]
        moments = [datetime.fromisoformat(str(item[keys.DUE.sort])) for found in first for item in found]
        return min(moments, default=None)

    def _due_in(self, shard: str, until: datetime) -> Iterator[Item]:
        between, after = (FIRST_INSTANT, to_milliseconds(until)), None
        while page := self.table.query(shard, index=keys.DUE, between=between, after=after, limit=DUE_PAGE_SIZE):
            yield from page
            after = page[-1]


def _outlasting(webhooks: Key, tombstone: Item) -> Update:
    """They go by themselves, some time after the conversation."""
    removed = datetime.fromisoformat(str(tombstone["date_removed"]))
    return Update(webhooks, (Set(EXPIRES_AT, items.seconds(removed + WEBHOOKS_RETENTION)),), Exists("pk"))


def _provisioning_key(provisioning: Provisioning) -> Key:
    return keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)


def _applied(table: Table, update: Update) -> bool:
    try:
        table.update(update)
    except ConditionFailedError:
        return False
    return True
