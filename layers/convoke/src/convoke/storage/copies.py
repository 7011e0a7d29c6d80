"""Store the delivery status of copies. A copy contains the text and the media that a carrier delivers to one phone.

The receipt of a copy contains the status and the number of attempts. A write of a receipt fails if the status or the
number of attempts has changed after the caller read the receipt, except the write of `count_failure`. A write does not
increment the revision of the conversation, so that reports of carriers do not conflict with new messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convoke.domain.alerts import Alert
from convoke.domain.conversations import Conversation
from convoke.domain.copies import Copy
from convoke.domain.events import Change
from convoke.domain.messages import Message
from convoke.domain.receipts import Receipt, ReceiptStatus, counter_of
from convoke.lean_dataclass import lean_dataclass
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
    """The write failed: the receipt has changed, the message was deleted, or the condition of another write failed."""


class StoredCopy(NamedTuple):
    """A receipt together with its message and its conversation."""

    receipt: Receipt
    message: Message
    conversation: Conversation


@lean_dataclass
class CopyRepository:
    table: Table

    def receipts(self, account_sid: str, conversation_sid: str, message_sid: str) -> list[Receipt]:
        """Return all receipts of a message.

        One query is enough. A conversation has at most 50 participants with a binding, and only these participants have
        a receipt.
        """
        partition = keys.conversation(account_sid, conversation_sid).pk
        found = self.table.query(partition, between=keys.receipts(message_sid), limit=MAX_WRITES, consistent=True)
        return [items.to_resource(Receipt, item) for item in found]

    def fetch(self, copy: Copy) -> StoredCopy | None:
        """Return the receipt, the message and the conversation of a copy. Return None if one of them was deleted."""
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
        """Record that a call to the carrier starts, and return the copy with the changed receipt.

        Return None if the receipt was changed or deleted after the caller read the receipt.

        If the outcome of the previous call to the carrier is unknown, the phone may get the copy twice. The method then
        sets `may_be_repeated` in the receipt.
        """
        receipt = stored.receipt
        update = {
            "status": ReceiptStatus.SENDING,
            "attempts": receipt.attempts + 1,
            "may_be_repeated": receipt.may_be_repeated or receipt.status is ReceiptStatus.SENDING,
        }
        return self._store(stored, receipt.model_copy(update=update))

    def requeue(self, stored: StoredCopy, attempts: int) -> None:
        """Record that the carrier did not accept the copy. Does nothing if the receipt has changed or was deleted.

        `attempts` is the new number of attempts. A call that the carrier throttled does not count.
        """
        update = {"status": ReceiptStatus.QUEUED, "attempts": attempts}
        self._store(stored, stored.receipt.model_copy(update=update))

    def count_failure(self, copy: Copy) -> int:
        """Add 1 to the number of times that Convoke itself failed to process the copy, and return this number.

        Raises ConditionFailedError if the receipt was deleted.
        """
        key = keys.receipt(copy.account_sid, copy.conversation_sid, copy.message_sid, copy.receipt_sid)
        stored = self.table.update(Update(key, (Add("failures", 1),), Exists("pk")))
        return items.to_resource(Receipt, stored).failures

    def change(
        self,
        stored: StoredCopy,
        receipt: Receipt,
        change: Change,
        alert: Alert | None = None,
        other_writes: Sequence[Write] = (),
    ) -> None:
        """Store `receipt`, which has the new status, and the other items of this change, in one transaction.

        The other items are the counters of the message, the event, the alert if there is one, and `other_writes`.
        Raises ReceiptChangedError in these cases:

        - The stored receipt no longer has the status and the number of attempts in `stored`.
        - The message was deleted.
        - The condition of another write fails.
        """
        others = [*(alert_writes(alert) if alert else []), *other_writes]
        message = stored.message
        while True:
            following = change.following(message.last_event_id)
            counters = _counters(message, stored.receipt.status, receipt.status, following)
            try:
                self.table.transact([_update(stored.receipt, receipt), counters, change_write(following), *others])
            except TransactionCanceledError as canceled:
                # If only the condition on the message failed, another process has changed the message. Try again with
                # the current message.
                current = canceled.failed.get(1)
                if current is None or canceled.failed.keys() != {1}:
                    raise ReceiptChangedError from canceled
                message = items.to_resource(Message, current)
            else:
                return

    def write(self, writes: Sequence[Write]) -> None:
        """Store items that belong to a copy, without a change of its receipt.

        Callers use this method for items that must be stored even if `change` has raised ReceiptChangedError.
        """
        self.table.transact(writes)

    def _store(self, stored: StoredCopy, receipt: Receipt) -> StoredCopy | None:
        try:
            self.table.update(_update(stored.receipt, receipt))
        except ConditionFailedError:
            return None
        return stored._replace(receipt=receipt)


def _counters(message: Message, before: ReceiptStatus, after: ReceiptStatus, change: Change) -> Update:
    """Return the write that moves a copy from the counter of the status `before` to the counter of the status `after`.

    The counters are attributes of the message. The write also stores the event id of the change. The write fails if the
    message was deleted, or if the stored event id is not the event id in `message`. The reason is that event ids must
    only grow: a chat client ignores a change with a smaller event id.
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
    # Two calls to the carrier can start from the same status. The condition on the number of attempts distinguishes
    # these calls.
    attempts: Condition = Equals("attempts", before.attempts) if before.attempts else NotExists("attempts")
    return Update(_key(before), tuple(actions), And((Equals("status", before.status.value), attempts)))


def _item(receipt: Receipt) -> Item:
    return items.to_item(_key(receipt), receipt)


def _key(receipt: Receipt) -> Key:
    return keys.receipt(receipt.account_sid, receipt.conversation_sid, receipt.message_sid, receipt.sid)
