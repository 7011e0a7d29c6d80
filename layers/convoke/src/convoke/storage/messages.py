"""Messages. Each change is one transaction, where the conversation is still as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receipts import Receipt
from convoke.storage import items, keys
from convoke.storage.paging import page_of
from convoke.storage.revisions import differences, revise
from convoke.storage.table import MAX_WRITES, Delete, Put, Table, key_of


@dataclass(frozen=True, slots=True)
class MessageRepository:
    """Stores each change and its events in one transaction.

    Writes raise ChangedMeanwhileError if another request changed the conversation after it was read.
    """

    table: Table

    def create(
        self,
        before: Conversation,
        after: Conversation,
        message: Message,
        receipts: Sequence[Receipt],
        change: Change,
    ) -> None:
        copies = [Put(items.item(keys.receipt(*_of(message), receipt.sid), receipt)) for receipt in receipts]
        revise(self.table, before, differences(before, after), change, beside=[_put(message), *copies])

    def fetch(self, account_sid: str, conversation_sid: str, message_sid: str) -> Message | None:
        stored = self.table.get(keys.message(account_sid, conversation_sid, message_sid))
        return items.resource(Message, stored) if stored else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Message]:
        """By index."""
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.message(account_sid, conversation_sid, page.position) if page.position else None
        return page_of(Message, self.table, partition, keys.messages(), page, position)

    def update(self, conversation: Conversation, edited: Message, change: Change) -> None:
        revise(self.table, conversation, (), change, beside=[_put(edited)])

    def delete(self, conversation: Conversation, message: Message, change: Change) -> None:
        """With its receipts."""
        own, between = keys.message(*_of(message)), keys.receipts(message.sid)
        receipts = self.table.query(own.pk, between=between, limit=MAX_WRITES, consistent=True)
        gone = [Delete(own), *(Delete(key_of(receipt)) for receipt in receipts)]
        revise(self.table, conversation, (), change, beside=gone)


def _of(message: Message) -> tuple[str, str, str]:
    return message.account_sid, message.conversation_sid, message.sid


def _put(message: Message) -> Put:
    return Put(items.item(keys.message(*_of(message)), message))
