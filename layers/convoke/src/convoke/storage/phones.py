"""Store the messages that simulated phones received, and the phones that have opted out of messages from a number.

Only the embedded engine has simulated phones. See docs/phones/simulator.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.pages import Page, PageRequest
from convoke.domain.phones import PhoneMessage
from convoke.domain.retention import INBOUND_RECORD_LIFETIME
from convoke.storage import items, keys
from convoke.storage.paging import query_page
from convoke.storage.table import Delete, NotExists, Put, Table, TransactionCanceledError, Write


@dataclass(frozen=True, slots=True)
class PhoneRepository:
    table: Table

    def put(self, message: PhoneMessage) -> None:
        """Store a message that a phone receives. Does nothing if the message is already stored."""
        key = keys.phone_message(message.account_sid, message.to, message.sid)
        item = items.with_expiry(items.to_item(key, message), message.date_expires)
        try:
            self.table.transact([Put(item, NotExists("pk"))])
        except TransactionCanceledError:
            return

    def list(self, account_sid: str, number: str, page: PageRequest) -> Page[PhoneMessage]:
        """Return a page of the messages that a phone has received, ordered by date."""
        partition = keys.phone(account_sid, number)
        position = keys.phone_message(account_sid, number, page.position) if page.position else None
        return query_page(PhoneMessage, self.table, partition, keys.phone_messages(), page, position)


@dataclass(frozen=True, slots=True)
class OptOutRepository:
    """Stores the opt-out list of each business number. The list contains the phones that have answered STOP."""

    table: Table

    def exists(self, account_sid: str, business_address: str, address: str) -> bool:
        return self.table.get(keys.opt_out(account_sid, business_address, address)) is not None

    def put(
        self, account_sid: str, business_address: str, addresses: Sequence[str], other_writes: Sequence[Write] = ()
    ) -> None:
        found = [keys.opt_out(account_sid, business_address, address) for address in addresses]
        self.table.transact([*(Put({"pk": key.pk, "sk": key.sk}) for key in found), *other_writes])

    def delete(self, account_sid: str, business_address: str, address: str, other_writes: Sequence[Write] = ()) -> None:
        self.table.transact([Delete(keys.opt_out(account_sid, business_address, address)), *other_writes])

    def was_applied(self, account_sid: str, provider_message_id: str) -> bool:
        """Return whether this keyword message has already changed the opt-out list."""
        return self.table.get(keys.keyword_record(account_sid, provider_message_id)) is not None


def keyword_write(account_sid: str, provider_message_id: str, moment: datetime) -> Put:
    """Return the write that records that a keyword message has changed the opt-out list.

    Without this record, a repeated delivery of a STOP message after a START message would opt the phone out again.
    """
    key = keys.keyword_record(account_sid, provider_message_id)
    return Put(items.with_expiry({"pk": key.pk, "sk": key.sk}, moment + INBOUND_RECORD_LIFETIME))
