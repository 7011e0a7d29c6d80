"""Store the senders of an account.

Each sender has three items: the sender, a lock whose key contains the hash of the address, and an owner item whose key
contains the SID of the sender. Because of the lock, an address has at most one sender in all accounts. The keys of the
lock and of the owner item do not contain the Account SID, because a carrier knows only the address or the SID of the
sender. The two items contain the Account SID as an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.domain.senders import Sender, SenderChange
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import query_page
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Exists,
    NotExists,
    Put,
    Remove,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)

PAGE_SIZE = 100


@lean_dataclass
class SenderRepository:
    table: Table

    def create(self, sender: Sender) -> bool:
        """Store a sender. Returns False if the address already has a sender, in this account or in another account."""
        lock, owner = keys.sender_address(sender.address), keys.sender_owner(sender.sid)
        named = {"account_sid": sender.account_sid}
        item = items.to_item(keys.sender(sender.account_sid, sender.sid), sender)
        try:
            self.table.transact(
                [
                    Put({"pk": lock.pk, "sk": lock.sk, **named, "sid": sender.sid}, NotExists("pk")),
                    Put({"pk": owner.pk, "sk": owner.sk, **named}),
                    Put(item),
                ]
            )
        except TransactionCanceledError:
            return False
        return True

    def fetch(self, account_sid: str, sid: str) -> Sender | None:
        stored = self.table.get(keys.sender(account_sid, sid))
        return items.to_resource(Sender, stored) if stored else None

    def fetch_by_sid(self, sid: str) -> Sender | None:
        """Return the sender with this SID from any account, or None."""
        owner = self.table.get(keys.sender_owner(sid))
        return self.fetch(str(owner["account_sid"]), sid) if owner else None

    def fetch_by_address(self, address: str) -> Sender | None:
        """Return the sender of this address from any account, or None."""
        lock = self.table.get(keys.sender_address(address))
        return self.fetch(str(lock["account_sid"]), str(lock["sid"])) if lock else None

    def list(self, account_sid: str, page: PageRequest) -> Page[Sender]:
        """Return a page of the senders of an account, ordered by SID."""
        position = keys.sender(account_sid, page.position) if page.position else None
        return query_page(Sender, self.table, account_sid, keys.senders(), page, position)

    def iterate(self, account_sid: str) -> Iterator[Sender]:
        """Iterate over all senders of an account, oldest first."""
        between, after = keys.senders(), None
        while page := self.table.query(account_sid, between=between, after=after, limit=PAGE_SIZE, consistent=True):
            yield from (items.to_resource(Sender, stored) for stored in page)
            after = page[-1]

    def update(self, sender: Sender, change: SenderChange, at: datetime) -> Sender | None:
        """Store the friendly name and the limit if `change` sets them, and the date of update `at`. Return the sender.

        Returns None if the sender was deleted.
        """
        given = change.model_dump(include={"friendly_name", "max_messages_per_second"}, exclude_unset=True)
        actions = (
            *(Remove(name) if value is None else Set(name, value) for name, value in given.items()),
            Set("date_updated", to_milliseconds(at)),
        )
        try:
            update = Update(keys.sender(sender.account_sid, sender.sid), actions, Exists("pk"))
            return items.to_resource(Sender, self.table.update(update))
        except ConditionFailedError:
            return None

    def delete(self, sender: Sender) -> bool:
        """Delete a sender, so that any account can use the address. Returns False if the sender was already deleted."""
        # Only the deletion of the sender needs a condition. While the sender exists, the lock and the owner item belong
        # to the sender.
        deletes = (keys.sender_address(sender.address), keys.sender_owner(sender.sid))
        try:
            self.table.transact(
                [Delete(keys.sender(sender.account_sid, sender.sid), Exists("pk")), *map(Delete, deletes)]
            )
        except TransactionCanceledError:
            return False
        return True
