"""Deliver copies of messages to simulated phones. The carrier stores the delivered copies in the data file.

See docs/phones/simulator.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from convoke.domain.errors import OptedOutError
from convoke.domain.instants import Clock
from convoke.domain.receipts import ReceiptStatus
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.table import Table

if TYPE_CHECKING:
    from convoke.domain.carriers import OutboundCopy, SentCopy


@dataclass(slots=True)
class PhonePlans:
    """Stores which copies to simulated phones must fail, and which phones report no delivery.

    A client of the API makes these plans. The plans are only in memory.
    """

    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many of the next attempts to send a copy to a phone must fail.

    The key is the phone, as a pair of Account SID and address.
    """
    undelivered: set[tuple[str, str]] = field(default_factory=set)
    """The phones that report no delivery, as pairs of Account SID and address.

    A copy to one of these phones stays `sent`.
    """
    _lock: Lock = field(default_factory=Lock)

    def plan(self, account_sid: str, address: str, *, failures: int, reports_delivery: bool) -> None:
        with self._lock:
            # Store no entry for 0 failures. Otherwise the dictionary would grow with each phone.
            self.failures.pop((account_sid, address), None)
            if failures:
                self.failures[account_sid, address] = failures
            if reports_delivery:
                self.undelivered.discard((account_sid, address))
            else:
                self.undelivered.add((account_sid, address))

    def planned(self, account_sid: str, address: str) -> tuple[int, bool]:
        """Return how many of the next attempts to send to a phone fail, and whether the phone reports deliveries."""
        with self._lock:
            return self.failures.get((account_sid, address), 0), (account_sid, address) not in self.undelivered

    def fails(self, account_sid: str, address: str) -> bool:
        """Return whether the current attempt to send a copy to a phone must fail.

        If it must fail, reduce the phone's number of planned failures by 1.
        """
        with self._lock:
            left = self.failures.pop((account_sid, address), 0)
            if left > 1:
                self.failures[account_sid, address] = left - 1
            return left > 0


@lean_dataclass
class SimulatedCarrier:
    """Implements `Carrier`. If Convoke sends a copy twice, the phone gets the copy once."""

    table: Table
    plans: PhonePlans
    now: Clock

    @property
    def sends_group_mms(self) -> bool:
        return True

    def send(self, copy: OutboundCopy) -> SentCopy:
        # Import here, because many instances have no phones. These imports take 1 % of the instructions of a start.
        from convoke.domain.carriers import (  # noqa: PLC0415 - see above
            CarrierRefusedError,
            CarrierUnavailableError,
            SentCopy,
        )
        from convoke.domain.phones import PhoneMessage  # noqa: PLC0415 - see above
        from convoke.storage.phones import OptOutRepository, PhoneRepository  # noqa: PLC0415 - see above

        receipt, phone = copy.receipt, (copy.receipt.account_sid, copy.address)
        if OptOutRepository(self.table).exists(receipt.account_sid, copy.sender.address, copy.address):
            raise CarrierRefusedError(OptedOutError)
        if self.plans.fails(*phone):
            raise CarrierUnavailableError("a test has planned this failure")
        PhoneRepository(self.table).put(
            PhoneMessage(
                account_sid=receipt.account_sid,
                sid=receipt.sid,
                channel_message_sid=receipt.channel_message_sid,
                from_=copy.sender.address,
                to=copy.address,
                body=copy.text,
                media_urls=tuple(each.url for each in copy.media),
                conversation_sid=receipt.conversation_sid,
                message_sid=receipt.message_sid,
                date_created=self.now(),
            )
        )
        status = ReceiptStatus.SENT if phone in self.plans.undelivered else ReceiptStatus.DELIVERED
        return SentCopy(receipt.channel_message_sid, status)
