"""Store simulated phones, their messages, and the opt-out lists of business numbers.

Only the embedded engine has simulated phones. See docs/phones/simulator.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.pages import Page, PageRequest
from convoke.domain.phones import PhoneMessage, SimulatedPhone
from convoke.domain.receipts import Receipt
from convoke.domain.retention import INBOUND_RECORD_LIFETIME
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import page_of_query, query_page
from convoke.storage.table import Delete, Key, NotExists, Put, Table, TransactionCanceledError, Write

MAX_RECENT_MESSAGES = 1000
"""The number of messages in which `PhoneRepository.known_numbers` looks for numbers."""


class StoredPhoneMessage(NamedTuple):
    """A message of a simulated phone, together with the receipt and the conversation that belong to the message."""

    message: PhoneMessage
    receipt: Receipt | None
    """None if the message is not a copy, or if the copied message or its conversation was deleted."""
    conversation: Conversation | None
    """None if the message belongs to no conversation, or if the conversation was deleted."""

    @property
    def numbers(self) -> list[str]:
        """The numbers to which the phone would send an answer to this message.

        In a group, these are the other numbers of the group. Otherwise, the only number is the business number.
        """
        group = self.conversation.number_group if self.conversation and self.receipt and self.receipt.in_group else ()
        return sorted({*self.message.others, *group} - {self.message.phone})


@lean_dataclass
class PhoneRepository:
    table: Table

    def put(self, message: PhoneMessage) -> None:
        """Store a message that a phone receives or sends. Also store the phone, with a new date of expiry.

        Does nothing if the message is already stored.
        """
        item = items.with_expiry(items.to_item(_key(message), message), message.date_expires)
        phone = SimulatedPhone(account_sid=message.account_sid, number=message.phone, date_updated=message.date_created)
        phone_item = items.to_item(keys.simulated_phone(phone.account_sid, phone.number), phone)
        writes = [Put(item, NotExists("pk")), Put(items.with_expiry(phone_item, message.date_expires))]
        try:
            self.table.transact(writes)
        except TransactionCanceledError:
            return

    def list_phones(self, account_sid: str, page: PageRequest) -> Page[SimulatedPhone]:
        """Return a page of the phones that have messages, ordered by number."""
        position = keys.simulated_phone(account_sid, page.position) if page.position else None
        return query_page(SimulatedPhone, self.table, account_sid, keys.simulated_phones(), page, position)

    def list(self, account_sid: str, number: str, page: PageRequest) -> Page[PhoneMessage]:
        """Return a page of the messages that a phone has received, ordered by date."""
        partition = keys.phone(account_sid, number)
        position = keys.phone_message(account_sid, number, page.position) if page.position else None
        return query_page(PhoneMessage, self.table, partition, keys.phone_messages(), page, position)

    def list_thread(self, account_sid: str, number: str, page: PageRequest) -> Page[PhoneMessage]:
        """Return a page of the messages that a phone has received and sent, ordered by date."""
        received = self._messages(account_sid, number, page, keys.phone_messages(), keys.phone_message)
        sent = self._messages(account_sid, number, page, keys.sent_phone_messages(), keys.sent_phone_message)
        found = sorted([*received, *sent], key=lambda each: each.sid, reverse=page.forward == page.descending)
        return page_of_query(found[: page.size], page, more=len(found) > page.size)

    def known_numbers(self, account_sid: str, number: str) -> Sequence[str]:
        """Return the numbers in the newest messages of a phone, without its own number, in alphabetical order.

        Only the newest MAX_RECENT_MESSAGES messages count.
        """
        newest = self.list_thread(account_sid, number, PageRequest(MAX_RECENT_MESSAGES, descending=True))
        return sorted({other for each in newest.resources for other in each.others})

    def with_receipts(self, messages: Sequence[PhoneMessage]) -> Sequence[StoredPhoneMessage]:
        """Return the messages with their receipts and conversations."""
        found = self.table.get_many([key for each in messages if each.conversation_sid for key in _related(each)])
        stored = []
        for message in messages:
            receipt, conversation = map(found.get, _related(message))
            shown = conversation if conversation and "date_removed" not in conversation else None
            stored.append(
                StoredPhoneMessage(
                    message,
                    items.to_resource(Receipt, receipt) if receipt and shown else None,
                    items.to_resource(Conversation, shown) if shown else None,
                )
            )
        return stored

    def _messages(
        self,
        account_sid: str,
        number: str,
        page: PageRequest,
        between: tuple[str, str],
        key_of: Callable[[str, str, str], Key],
    ) -> Sequence[PhoneMessage]:
        """Return messages in the range `between`, at most one message more than the page holds.

        `key_of` takes an account SID, the number of a phone and the SID of a message, and returns the message's key.
        """
        found = self.table.query(
            keys.phone(account_sid, number),
            limit=page.size + 1,
            between=between,
            after=key_of(account_sid, number, page.position)._asdict() if page.position else None,
            forward=page.forward != page.descending,
            consistent=True,
        )
        return [items.to_resource(PhoneMessage, item) for item in found]


@lean_dataclass
class OptOutRepository:
    """Stores the opt-out list of each business number: the phones that have sent STOP and have not sent START since."""

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
        """Return whether the STOP or START message with this id was already applied. See `keyword_write`."""
        return self.table.get(keys.keyword_record(account_sid, provider_message_id)) is not None


def _key(message: PhoneMessage) -> Key:
    key_of = keys.sent_phone_message if message.outcome else keys.phone_message
    return key_of(message.account_sid, message.phone, message.sid)


def _related(message: PhoneMessage) -> tuple[Key, Key]:
    """Return the keys of the receipt and of the conversation of a message."""
    account_sid, conversation_sid = message.account_sid, message.conversation_sid or ""
    receipt = keys.receipt(account_sid, conversation_sid, message.message_sid or "", message.sid)
    return receipt, keys.conversation(account_sid, conversation_sid)


def keyword_write(account_sid: str, provider_message_id: str, moment: datetime) -> Put:
    """Return the write that stores that a STOP or START message was applied to the opt-out list.

    A message can be delivered twice. Without this record, a repeated STOP message after a START message would opt the
    phone out again.
    """
    key = keys.keyword_record(account_sid, provider_message_id)
    return Put(items.with_expiry({"pk": key.pk, "sk": key.sk}, moment + INBOUND_RECORD_LIFETIME))
