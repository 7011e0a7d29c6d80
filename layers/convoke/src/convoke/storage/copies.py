"""Store what happens to the copies of messages.

A receipt changes without the revision of its conversation, so that reports of carriers do not contend with messages.
The condition on the receipt's status makes sure that a status only moves forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from convoke.domain.alerts import Alert
from convoke.domain.conversations import Conversation
from convoke.domain.copies import Copy
from convoke.domain.events import Change
from convoke.domain.messages import Message
from convoke.domain.receipts import Receipt, ReceiptStatus, counter_of
from convoke.storage import items, keys
from convoke.storage.alerts import alert_writes
from convoke.storage.events import change_write
from convoke.storage.table import (
    MAX_WRITES,
    Add,
    And,
    Condition,
    ConditionFailedError,
    Equals,
    Exists,
    Item,
    Key,
    NotExists,
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Write,
)


class ReceiptChangedError(Exception):
    """The receipt has another status than before, or the message was deleted."""


class StoredCopy(NamedTuple):
    """A receipt together with its message and its conversation."""

    receipt: Receipt
    message: Message
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class CopyRepository:
    table: Table

    def receipts(self, account_sid: str, conversation_sid: str, message_sid: str) -> list[Receipt]:
        """Return all receipts of a message. Their number is at most the number of participants with a binding."""
        partition = keys.conversation(account_sid, conversation_sid).pk
        found = self.table.query(partition, between=keys.receipts(message_sid), limit=MAX_WRITES, consistent=True)
        return [items.to_resource(Receipt, item) for item in found]

    def fetch(self, copy: Copy) -> StoredCopy | None:
        """Return a copy. Return None if the message or the conversation was deleted."""
        receipt = keys.receipt(copy.account_sid, copy.conversation_sid, copy.message_sid, copy.receipt_sid)
        message = keys.message(copy.account_sid, copy.conversation_sid, copy.message_sid)
        conversation = keys.conversation(copy.account_sid, copy.conversation_sid)
        found = self.table.get_many([receipt, message, conversation])
        if len(found) < 3:
            return None
        stored = StoredCopy(
            items.to_resource(Receipt, found[receipt]),
            items.to_resource(Message, found[message]),
            items.to_resource(Conversation, found[conversation]),
        )
        return None if stored.conversation.date_removed else stored

    def begin(self, stored: StoredCopy) -> StoredCopy | None:
        """Store that a call to the carrier starts. Return None if another process has changed the receipt meanwhile.

        If the outcome of the call before is unknown, the copy may come twice, and the receipt says so.
        """
        receipt = stored.receipt
        update = {
            "status": ReceiptStatus.SENDING,
            "attempts": receipt.attempts + 1,
            "may_be_repeated": receipt.may_be_repeated or receipt.status is ReceiptStatus.SENDING,
        }
        return self._store(stored, receipt.model_copy(update=update))

    def requeue(self, stored: StoredCopy, attempts: int) -> None:
        """Store that the carrier has not taken the copy. Does nothing if the receipt has changed meanwhile."""
        update = {"status": ReceiptStatus.QUEUED, "attempts": attempts}
        self._store(stored, stored.receipt.model_copy(update=update))

    def change(
        self,
        stored: StoredCopy,
        receipt: Receipt,
        change: Change,
        alert: Alert | None = None,
        other_writes: Sequence[Write] = (),
    ) -> None:
        """Store a new status, the counters of the message, the event and an alert in one transaction.

        Raises ReceiptChangedError.
        """
        others = [*(alert_writes(alert) if alert else []), *other_writes]
        message = stored.message
        while True:
            following = change.following(message.last_event_id)
            counters = _counters(message, stored.receipt.status, receipt.status, following)
            try:
                self.table.transact([_update(stored.receipt, receipt), counters, change_write(following), *others])
            except TransactionCanceledError as canceled:
                # If only the condition on the message failed, another copy of the message has changed meanwhile.
                current = canceled.failed.get(1)
                if current is None or canceled.failed.keys() != {1}:
                    raise ReceiptChangedError from canceled
                message = items.to_resource(Message, current)
            else:
                return

    def write(self, writes: Sequence[Write]) -> None:
        """Store items that belong to a copy whose status another process has changed."""
        self.table.transact(writes)

    def _store(self, stored: StoredCopy, receipt: Receipt) -> StoredCopy | None:
        try:
            self.table.update(_update(stored.receipt, receipt))
        except ConditionFailedError:
            return None
        return stored._replace(receipt=receipt)


def _counters(message: Message, before: ReceiptStatus, after: ReceiptStatus, change: Change) -> Update:
    """Return the write that moves one copy of a message from one counter to another.

    The event ids of a message only grow, because a chat client drops a change with a smaller event id.
    """
    key = keys.message(message.account_sid, message.conversation_sid, message.sid)
    actions = (
        Add(counter_of(before), -1),
        Add(counter_of(after), 1),
        Set("event_id", change.last_event_id),
        Set("created_event_id", message.first_event_id),
    )
    unchanged = Equals("event_id", message.event_id) if message.event_id is not None else NotExists("event_id")
    return Update(key, actions, And((Exists("pk"), unchanged)))


def _update(before: Receipt, after: Receipt) -> Update:
    actions = items.differences(_item(before), _item(after))
    # The number of attempts tells two calls apart that find the same status.
    attempts: Condition = Equals("attempts", before.attempts) if before.attempts else NotExists("attempts")
    return Update(_key(before), tuple(actions), And((Equals("status", before.status.value), attempts)))


def _item(receipt: Receipt) -> Item:
    return items.to_item(_key(receipt), receipt)


def _key(receipt: Receipt) -> Key:
    return keys.receipt(receipt.account_sid, receipt.conversation_sid, receipt.message_sid, receipt.sid)
