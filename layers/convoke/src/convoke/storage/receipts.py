"""Fetch and list the receipts of a message. A receipt describes the delivery of a message to one participant.

MessageRepository writes the receipts together with their message. CopyRepository changes their status.
"""

from __future__ import annotations

from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receipts import Receipt
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import query_page
from convoke.storage.table import Key, Table


@lean_dataclass
class ReceiptRepository:
    table: Table

    def fetch(self, message: Message, receipt_sid: str) -> Receipt | None:
        stored = self.table.get(_key(message, receipt_sid))
        return items.to_resource(Receipt, stored) if stored else None

    def list(self, message: Message, page: PageRequest) -> Page[Receipt]:
        partition = keys.conversation(message.account_sid, message.conversation_sid).pk
        position = _key(message, page.position) if page.position else None
        return query_page(Receipt, self.table, partition, keys.receipts(message.sid), page, position)


def _key(message: Message, receipt_sid: str) -> Key:
    return keys.receipt(message.account_sid, message.conversation_sid, message.sid, receipt_sid)
