"""Store senders. The item of a business address says to which account the address belongs.

See docs/phones.md#senders.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.senders import Sender
from convoke.storage import items, keys
from convoke.storage.paging import query_page
from convoke.storage.table import Delete, Equals, Key, NotExists, Put, Table, TransactionCanceledError


class AddressTakenError(Exception):
    """The business address has a sender already, in this account or in another one."""


@dataclass(frozen=True, slots=True)
class SenderRepository:
    """Each sender has two items with the same content: one under its account, and one under its address."""

    table: Table

    def create(self, sender: Sender) -> None:
        """Store a new sender. Raises AddressTakenError."""
        of_address = items.to_item(keys.sender_address(sender.address), sender)
        writes = [Put(of_address, NotExists("pk")), Put(items.to_item(_key(sender), sender))]
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            raise AddressTakenError from canceled

    def fetch(self, account_sid: str, sid: str) -> Sender | None:
        stored = self.table.get(keys.sender(account_sid, sid))
        return items.to_resource(Sender, stored) if stored else None

    def fetch_by_address(self, address: str) -> Sender | None:
        """Return the sender with a business address, whichever account it belongs to."""
        stored = self.table.get(keys.sender_address(address))
        return items.to_resource(Sender, stored) if stored else None

    def list(self, account_sid: str, page: PageRequest) -> Page[Sender]:
        partition, between = account_sid, keys.senders()
        position = keys.sender(account_sid, page.position) if page.position else None
        return query_page(Sender, self.table, partition, between, page, position)

    def delete(self, sender: Sender) -> None:
        """Delete a sender, so that another account can use the address. Does nothing if it was deleted meanwhile."""
        of_address = Delete(keys.sender_address(sender.address), Equals("sid", sender.sid))
        try:
            self.table.transact([of_address, Delete(_key(sender))])
        except TransactionCanceledError:
            return


def _key(sender: Sender) -> Key:
    return keys.sender(sender.account_sid, sender.sid)
