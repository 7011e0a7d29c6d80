"""Fetch and list the delivery receipts of a message."""

from __future__ import annotations

from convoke.domain.errors import NotFoundError
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receipts import Receipt
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.messages import MessageOperations
from convoke.storage.receipts import ReceiptRepository


@lean_dataclass
class ReceiptOperations:
    messages: MessageOperations
    receipts: ReceiptRepository

    def fetch(self, service: Service, conversation_sid: str, message_sid: str, sid: str) -> Receipt:
        """Return a receipt. Raises NotFoundError if the conversation, the message or the receipt does not exist."""
        message = self.messages.fetch(service, conversation_sid, message_sid)
        known = parse_sid(sid, Prefix.RECEIPT)
        receipt = known and self.receipts.fetch(message, known)
        if not receipt:
            raise NotFoundError
        return receipt

    def list(self, service: Service, conversation_sid: str, message_sid: str, page: PageRequest) -> Page[Receipt]:
        message = self.messages.fetch(service, conversation_sid, message_sid)
        return self.receipts.list(message, page)
