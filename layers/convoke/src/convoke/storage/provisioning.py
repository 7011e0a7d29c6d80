"""The transactions of the asynchronous half. Each is conditional on what it ends, so it takes effect once."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.alerts import Alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Change
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.storage import items, keys
from convoke.storage.alerts import logged
from convoke.storage.events import recorded
from convoke.storage.locks import identity_locks, locks_of_new
from convoke.storage.packing import unpacked_members
from convoke.storage.table import (
    Action,
    Add,
    And,
    Equals,
    NotExists,
    Put,
    Remove,
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)

LEAVING = frozenset({"state", "date_updated", "date_inactive", "date_closed", "unsettled"})
"""The attributes of a conversation that change as it leaves `initializing`."""

ENDING = frozenset({"status", "causes", "date_updated"})
"""The attributes of a provisioning that change as it ends."""


@dataclass(frozen=True, slots=True)
class ProvisioningRepository:
    table: Table

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        """A conversation, deleted or not, and the record of the participants it was made with, read together."""
        conversation_key = keys.conversation(account_sid, conversation_sid)
        provisioning_key = keys.provisioning(account_sid, conversation_sid)
        found = self.table.get_many([conversation_key, provisioning_key])
        conversation, provisioning = found.get(conversation_key), found.get(provisioning_key)
        if conversation is None:
            return None
        return (
            items.resource(Conversation, conversation),
            unpacked_members(provisioning) if provisioning else None,
        )

    def add(self, provisioning: Provisioning, change: Change) -> bool:
        """Store every member at once; False where that has been done before, or the conversation has failed."""
        writes: list[Write] = [_ended(provisioning), recorded(change)]
        for participant in provisioning.participants:
            writes.append(Put(items.participant_item(participant, provisioning.chat_service_sid)))
            locks = identity_locks(participant).values()
            writes.extend(Put(lock.item(provisioning.conversation_sid)) for lock in locks)
        return self._transacted(writes)

    def finalize(self, conversation: Conversation, change: Change) -> bool:
        """Store the state of a conversation that leaves `initializing`; False where it has left already."""
        return self._transacted([_left(conversation), recorded(change)])

    def close(self, conversation: Conversation, provisioning: Provisioning, change: Change, alert: Alert) -> bool:
        """The same for one that failed, with every lock released and the alert logged; False where it has left."""
        released = [lock.release(conversation.sid) for lock in locks_of_new(conversation, provisioning)]
        left: list[Write] = [_left(conversation), _ended(provisioning), recorded(change)]
        return self._transacted([*left, *logged(alert), *released])

    def _transacted(self, writes: list[Write]) -> bool:
        try:
            self.table.transact(writes)
        except TransactionCanceledError:
            return False
        return True


def _left(conversation: Conversation) -> Update:
    values = conversation.model_dump(mode="json", include=set(LEAVING))
    actions: list[Action] = [
        Set(name, value) if value is not None else Remove(name) for name, value in sorted(values.items())
    ]
    key = keys.conversation(conversation.account_sid, conversation.sid)
    service_still_exists = And((Equals("state", State.INITIALIZING), NotExists("date_removed")))
    return Update(key, (*actions, Add("revision", 1)), service_still_exists)


def _ended(provisioning: Provisioning) -> Update:
    values = provisioning.model_dump(mode="json", include=set(ENDING), exclude_none=True)
    key = keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)
    actions = tuple(Set(name, value) for name, value in sorted(values.items()))
    return Update(key, actions, Equals("status", ProvisioningStatus.PENDING))
