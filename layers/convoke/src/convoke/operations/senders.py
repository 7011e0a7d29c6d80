"""Find the sender of a business address, and manage the senders of an account.

See docs/phones.md#senders.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.instants import Clock
from convoke.domain.senders import Provider, Sender
from convoke.domain.sids import Prefix
from convoke.storage.senders import SenderRepository

SIMULATED_SENDER_SID = Prefix.SENDER + "0" * 32
"""The SID of a sender that is not stored, because the embedded engine simulates its phones."""


@dataclass(frozen=True, slots=True)
class FindSender:
    """Finds the sender through which an account sends from a business address."""

    senders: SenderRepository
    now: Clock
    simulates_phones: bool

    def __call__(self, account_sid: str, address: str) -> Sender | None:
        """Return the sender. Return None if the address has no sender, or belongs to another account."""
        sender = self.senders.fetch_by_address(address)
        if sender is None and self.simulates_phones:
            now = self.now()
            return Sender(
                account_sid=account_sid,
                sid=SIMULATED_SENDER_SID,
                address=address,
                provider=Provider.SIMULATED,
                date_created=now,
                date_updated=now,
            )
        return sender if sender and sender.account_sid == account_sid else None
