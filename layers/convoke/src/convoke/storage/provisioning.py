"""Store the participants of a ConversationWithParticipants request, and end the state `initializing`.

Each of these steps is one transaction. The transaction fails if an earlier transaction has already done or prevented
the same step. A repeated transaction therefore has no further effect. See
docs/decisions/0004-one-transaction-ends-initializing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Change
from convoke.domain.provisioning import Provisioning, ProvisioningStatus, ProvisioningSummary
from convoke.domain.users import User
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.events import change_write
from convoke.storage.first_sights import FirstSights
from convoke.storage.locks import identity_locks, initial_locks
from convoke.storage.packing import unpack_provisioning, unpack_summary
from convoke.storage.revisions import EVENT_ID, STATE_EVENT_ID
from convoke.storage.table import (
    Action,
    Add,
    And,
    Equals,
    Item,
    NotExists,
    Put,
    Remove,
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)

Unpacked = TypeVar("Unpacked", bound=ProvisioningSummary)

CONVERSATION_ATTRIBUTES = frozenset({"state", "date_updated", "date_inactive", "date_closed", "unsettled"})
"""The attributes of a conversation, besides revision and event ids, that change when it leaves `initializing`."""

PROVISIONING_ATTRIBUTES = frozenset({"status", "causes", "date_updated"})
"""The attributes of a provisioning that change when the provisioning completes or fails."""


@lean_dataclass
class ProvisioningRepository:
    table: Table

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        """Fetch a conversation and its provisioning in one call. Returns None if the conversation does not exist.

        Unlike `ConversationRepository.fetch`, this method also returns a deleted conversation that is not yet erased.
        """
        return self._fetch(account_sid, conversation_sid, unpack_provisioning)

    def fetch_summary(
        self, account_sid: str, conversation_sid: str
    ) -> tuple[Conversation, ProvisioningSummary | None] | None:
        """Do the same as `fetch`, but do not validate the participants."""
        return self._fetch(account_sid, conversation_sid, unpack_summary)

    def _fetch(
        self, account_sid: str, conversation_sid: str, unpack: Callable[[Item], Unpacked]
    ) -> tuple[Conversation, Unpacked | None] | None:
        conversation_key = keys.conversation(account_sid, conversation_sid)
        provisioning_key = keys.provisioning(account_sid, conversation_sid)
        found = self.table.get_many([conversation_key, provisioning_key])
        conversation, provisioning = found.get(conversation_key), found.get(provisioning_key)
        if conversation is None:
            return None
        return items.to_resource(Conversation, conversation), unpack(provisioning) if provisioning else None

    def add(
        self,
        provisioning: Provisioning,
        first_sights: FirstSights,
        users: Sequence[User],
        make_change: Callable[[Sequence[User]], Change],
    ) -> bool:
        """Store all participants, and the `users` that do not exist yet, in one transaction.

        `make_change` takes the Users that the transaction creates, and returns the record of the change. The method
        returns False if the participants are already stored, or if the provisioning has failed or was deleted. Raises
        UnavailableError if the creation of Users fails repeatedly, because other requests create the same Users.
        """

        def make_writes(new_users: Sequence[User]) -> list[Write]:
            change = make_change(new_users)
            change_event_id = change.last_event_id
            writes: list[Write] = [_provisioning_update(provisioning)]
            for participant in provisioning.participants:
                is_later = participant.last_event_id > change_event_id
                added = participant.model_copy(update={"event_id": change_event_id}) if is_later else participant
                writes.append(Put(items.participant_item(added, provisioning.chat_service_sid)))
                # The writes of the identity locks need no condition. While the provisioning is pending, no other
                # request writes identity locks of this conversation. All identities in the provisioning are different,
                # because Convoke refuses a request that names an identity twice.
                locks = identity_locks(participant).values()
                writes.extend(Put(lock.item(provisioning.conversation_sid)) for lock in locks)
            return [*writes, change_write(change)]

        try:
            first_sights.transact(users, make_writes)
        except TransactionCanceledError:
            return False
        return True

    def finalize(self, conversation: Conversation, change: Change) -> bool:
        """Store the state of `conversation`, which is the state after `initializing`.

        Returns False if the conversation is no longer `initializing` or was deleted.
        """
        return self._try_transact([_conversation_update(conversation, change), change_write(change)])

    def close(
        self, conversation: Conversation, provisioning: Provisioning, change: Change, alert_writes: Sequence[Write]
    ) -> bool:
        """Close a conversation whose participants could not be added, release its locks, and log an alert.

        `alert_writes` store the alert. Returns False if the participants were added meanwhile, or if the conversation
        is no longer `initializing` or was deleted.
        """
        released = [lock.release(conversation.sid) for lock in initial_locks(conversation, provisioning)]
        return self._try_transact(
            [
                _conversation_update(conversation, change),
                _provisioning_update(provisioning),
                change_write(change),
                *alert_writes,
                *released,
            ]
        )

    def _try_transact(self, writes: list[Write]) -> bool:
        try:
            self.table.transact(writes)
        except TransactionCanceledError:
            return False
        return True


def _conversation_update(conversation: Conversation, change: Change) -> Update:
    values = conversation.model_dump(mode="json", include=set(CONVERSATION_ATTRIBUTES))
    values[STATE_EVENT_ID] = change.last_event_id
    if conversation.event_id:
        values[EVENT_ID] = change.last_event_id
    actions: list[Action] = [
        Set(name, value) if value is not None else Remove(name) for name, value in sorted(values.items())
    ]
    key = keys.conversation(conversation.account_sid, conversation.sid)
    is_initializing = And((Equals("state", State.INITIALIZING), NotExists("date_removed")))
    return Update(key, (*actions, Add("revision", 1)), is_initializing)


def _provisioning_update(provisioning: Provisioning) -> Update:
    values = provisioning.model_dump(mode="json", include=set(PROVISIONING_ATTRIBUTES), exclude_defaults=True)
    key = keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)
    actions = tuple(Set(name, value) for name, value in sorted(values.items()))
    return Update(key, actions, Equals("status", ProvisioningStatus.PENDING))
