"""The transactions of the asynchronous half. Each is conditional on what it ends, so it takes effect once."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.alerts import Alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Change
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.storage import items, keys
from convoke.storage.locks import locks_of
from convoke.storage.table import (
    Action,
    Equals,
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


@dataclass(frozen=True, slots=True)
class ProvisioningTable:
    table: Table

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning] | None:
        conversation_key = keys.conversation(account_sid, conversation_sid)
        provisioning_key = keys.provisioning(account_sid, conversation_sid)
        found = self.table.get_many([conversation_key, provisioning_key])
        if len(found) < 2:
            return None
        return (
            items.resource(Conversation, found[conversation_key]),
            items.resource(Provisioning, found[provisioning_key]),
        )

    def add(self, provisioning: Provisioning, change: Change) -> bool:
        account_sid, conversation_sid = provisioning.account_sid, provisioning.conversation_sid
        added = Update(
            keys.provisioning(account_sid, conversation_sid),
            (Set("status", ProvisioningStatus.ADDED),),
            Equals("status", ProvisioningStatus.PENDING),
        )
        writes: list[Write] = [added, _recorded(change)]
        for participant in provisioning.participants:
            key = keys.participant(account_sid, conversation_sid, participant.sid)
            writes.append(Put(items.item(key, participant)))
        return self._transacted(writes)

    def finalize(self, conversation: Conversation, change: Change) -> bool:
        return self._transacted([_left(conversation), _recorded(change)])

    def close(self, conversation: Conversation, provisioning: Provisioning, change: Change, alert: Alert) -> bool:
        failed = Update(
            keys.provisioning(provisioning.account_sid, provisioning.conversation_sid),
            (
                Set("status", ProvisioningStatus.FAILED),
                Set("causes", [cause.model_dump(mode="json", exclude_none=True) for cause in provisioning.causes]),
            ),
            Equals("status", ProvisioningStatus.PENDING),
        )
        released = [lock.release() for lock in locks_of(conversation, provisioning)]
        recorded = Put(items.item(keys.alert(alert.account_sid, alert.sid), alert))
        return self._transacted([_left(conversation), failed, _recorded(change), recorded, *released])

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
    return Update(key, tuple(actions), Equals("state", State.INITIALIZING))


def _recorded(change: Change) -> Put:
    return Put(items.item(keys.change(change.account_sid, change.sid), change))
