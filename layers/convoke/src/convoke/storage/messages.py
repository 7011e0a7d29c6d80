"""Messages. Each change is one transaction, where the conversation is still as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receipts import Receipt
from convoke.operations.ports import ChangedMeanwhileError
from convoke.storage import items, keys
from convoke.storage.paging import page_of
from convoke.storage.table import (
    MOST_WRITES,
    Action,
    Add,
    Delete,
    Equals,
    Put,
    Table,
    TransactionCanceledError,
    Update,
    Write,
    key_of,
)


@dataclass(frozen=True, slots=True)
class MessageTable:
    table: Table

    def create(
        self,
        before: Conversation,
        after: Conversation,
        message: Message,
        receipts: Sequence[Receipt],
        change: Change,
    ) -> None:
        actions = items.differences(items.conversation_item(before), items.conversation_item(after))
        copies = [Put(items.item(keys.receipt(*_of(message), receipt.sid), receipt)) for receipt in receipts]
        self._transact(before, actions, change, [_put(message), *copies])

    def fetch(self, account_sid: str, conversation_sid: str, message_sid: str) -> Message | None:
        stored = self.table.get(keys.message(account_sid, conversation_sid, message_sid))
        return items.resource(Message, stored) if stored else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Message]:
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.message(account_sid, conversation_sid, page.position) if page.position else None
        return page_of(Message, self.table, partition, keys.messages(), page, position)

    def update(self, conversation: Conversation, edited: Message, change: Change) -> None:
        self._transact(conversation, (), change, [_put(edited)])

    def delete(self, conversation: Conversation, message: Message, change: Change) -> None:
        own, between = keys.message(*_of(message)), keys.receipts(message.sid)
        receipts = self.table.query(own.pk, between=between, limit=MOST_WRITES, consistent=True)
        self._transact(conversation, (), change, [Delete(own), *(Delete(key_of(receipt)) for receipt in receipts)])

    def _transact(
        self, before: Conversation, actions: Sequence[Action], change: Change, writes: Sequence[Write]
    ) -> None:
        key = keys.conversation(before.account_sid, before.sid)
        changed = Update(key, (*actions, Add("revision", 1)), Equals("revision", before.revision))
        recorded = Put(items.item(keys.change(change.account_sid, change.sid), change))
        try:
            self.table.transact([changed, recorded, *writes])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled


def _of(message: Message) -> tuple[str, str, str]:
    return message.account_sid, message.conversation_sid, message.sid


def _put(message: Message) -> Put:
    return Put(items.item(keys.message(*_of(message)), message))
