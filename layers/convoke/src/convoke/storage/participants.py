"""Store the participants of a conversation, and the locks on their identities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.memberships import MAX_PARTICIPANTS
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participants import Participant
from convoke.domain.sync_objects import Action as SyncAction
from convoke.domain.sync_objects import ObjectKind
from convoke.domain.users import User
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.events import change_write
from convoke.storage.first_sights import FirstSights
from convoke.storage.locks import identity_locks, locks_held
from convoke.storage.paging import query_page
from convoke.storage.revisions import (
    ChangedMeanwhileError,
    differences,
    lock_releases,
    locks_to_acquire,
    revision_error,
    revision_writes,
)
from convoke.storage.sync_memory import Departure, RecordedTouch, departure_write, touch_write
from convoke.storage.table import (
    Add,
    And,
    Condition,
    Delete,
    Equals,
    Exists,
    Key,
    NotExists,
    Put,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)

MakeChange = Callable[[Sequence[User]], Change]
"""A function that takes the Users that a transaction creates, and returns the record of the change."""


@lean_dataclass
class ParticipantRepository:
    """Writes a participant, its events, its locks and its conversation in one transaction.

    The same transaction creates the User of a new identity if the User does not exist.

    Every method that writes, except `update_alone`, raises ChangedMeanwhileError if another request changed the
    conversation after this request read the conversation. `update` also raises this error if another request changed
    the participant. If another conversation or participant holds a required lock, the method raises the error of this
    lock. `create` and `update` can also raise the UnavailableError of `FirstSights.transact`.
    """

    table: Table
    first_sights: FirstSights

    def fetch(self, account_sid: str, conversation_sid: str, participant_sid: str) -> Participant | None:
        stored = self.table.get(keys.participant(account_sid, conversation_sid, participant_sid))
        return items.to_resource(Participant, stored) if stored else None

    def sid_of(self, account_sid: str, conversation_sid: str, identity: str) -> str | None:
        """Return the SID of the participant with this identity, or None if there is no such participant."""
        lock = self.table.get(keys.identity_lock(account_sid, conversation_sid, identity))
        return str(lock["participant_sid"]) if lock else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Participant]:
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.participant(account_sid, conversation_sid, page.position) if page.position else None
        return query_page(Participant, self.table, partition, keys.participants(), page, position)

    def every(self, account_sid: str, conversation_sid: str) -> Sequence[Participant]:
        """Return all participants of a conversation, oldest first."""
        partition, between = keys.conversation(account_sid, conversation_sid).pk, keys.participants()
        found = self.table.query(partition, between=between, limit=MAX_PARTICIPANTS, consistent=True)
        return [items.to_resource(Participant, stored) for stored in found]

    def create(
        self,
        before: Conversation,
        after: Conversation,
        participant: Participant,
        user: User | None,
        make_change: MakeChange,
    ) -> None:
        self._change(before, after, None, participant, user, make_change)

    def update(
        self,
        before: Conversation,
        after: Conversation,
        old_participant: Participant,
        new_participant: Participant,
        user: User | None,
        make_change: MakeChange,
    ) -> None:
        self._change(before, after, old_participant, new_participant, user, make_change)

    def update_alone(self, conversation: Conversation, before: Participant, after: Participant, change: Change) -> None:
        """Store a changed participant and its events, but not its conversation.

        Raises ChangedMeanwhileError if another request changed or deleted the participant meanwhile.
        """
        key = _key(before)
        change = change.following(conversation.last_event_id, before.last_event_id)
        after = after.model_copy(update={"event_id": change.last_event_id})
        actions = items.differences(items.to_item(key, before), items.to_item(key, after))
        update = Update(key, (*actions, Add("revision", 1)), _is_unchanged(before))
        try:
            self.table.transact([update, change_write(change)])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled

    def delete(self, before: Conversation, after: Conversation, participant: Participant, change: Change) -> None:
        self._change(before, after, participant, None, None, lambda _: change)

    def _change(
        self,
        before: Conversation,
        after: Conversation,
        old_participant: Participant | None,
        new_participant: Participant | None,
        user: User | None,
        make_change: MakeChange,
    ) -> None:
        held = identity_locks(old_participant) | locks_held(before)
        wanted = identity_locks(new_participant) | locks_held(after)
        releases = lock_releases(held, wanted, before.sid)
        actions, acquired = differences(before, after), locks_to_acquire(held, wanted)
        previous = (before.last_event_id, old_participant.last_event_id if old_participant else 0)

        def make_writes(new_users: Sequence[User]) -> list[Write]:
            change = make_change(new_users).following(*previous)
            writes = _participant_writes(before, old_participant, new_participant, change.last_event_id)
            return revision_writes(before, actions, change, acquired, [*releases, *writes])

        try:
            self.first_sights.transact([user] if user else [], make_writes)
        except TransactionCanceledError as canceled:
            raise revision_error(acquired, canceled) from canceled


def _participant_writes(
    conversation: Conversation, old: Participant | None, new: Participant | None, event_id: int
) -> Iterator[Write]:
    """Yield the writes for a created, changed or deleted participant.

    `old` is None for a created participant. `new` is None for a deleted participant.
    """
    account_sid, service_sid = conversation.account_sid, conversation.chat_service_sid
    if new and old:
        # Also check the revision of the participant. `update_alone` changes the read position or the notification level
        # in this item, but not the revision of the conversation.
        revised = new.model_copy(update={"revision": (old.revision or 0) + 1, "event_id": event_id})
        yield Put(items.participant_item(revised, service_sid), _is_unchanged(old))
    elif new:
        created = new.model_copy(update={"event_id": event_id})
        yield Put(items.participant_item(created, service_sid))
    elif old:
        yield Delete(_key(old))
        touch = RecordedTouch(event_id=event_id, action=SyncAction.REMOVED, key=old.sid)
        yield touch_write(conversation, ObjectKind.ROSTER, touch)
    if old and old.identity and (new is None or new.identity is None):
        yield departure_write(account_sid, service_sid, old.identity, Departure(conversation.sid, event_id))


def _key(participant: Participant) -> Key:
    return keys.participant(participant.account_sid, participant.conversation_sid, participant.sid)


def _is_unchanged(participant: Participant) -> Condition:
    """Return the condition that the stored participant has the same revision as `participant`."""
    if participant.revision is None:
        return And((Exists("pk"), NotExists("revision")))
    return Equals("revision", participant.revision)
