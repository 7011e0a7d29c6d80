"""What Convoke sends to a carrier, and how the carrier responds. Carriers deliver copies of messages to phones.

See docs/phones.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convoke.domain.errors import LogEntry
from convoke.domain.receipts import Receipt, ReceiptStatus
from convoke.domain.senders import Sender, TwilioCredentials

MAX_ATTEMPTS = 6
"""The maximum number of attempts to send a copy. If the last attempt fails, the copy gets the status `failed`."""

FIRST_PAUSE_SECONDS = 5.0


class OutboundCopy(NamedTuple):
    """A copy in the form that Convoke passes to a carrier."""

    receipt: Receipt
    sender: Sender
    address: str
    """The phone that gets the copy."""
    text: str
    secret: TwilioCredentials | None = None
    """The credentials of the sender. None if the carrier needs no credentials."""
    media_urls: Sequence[str] = ()


class SentCopy(NamedTuple):
    """The response of a carrier that accepted a copy."""

    provider_message_id: str
    status: ReceiptStatus = ReceiptStatus.SENT


class CarrierError(Exception):
    """A carrier did not accept a copy."""


class CarrierRefusedError(CarrierError):
    """The carrier will never send the copy, for example because the phone has opted out."""

    def __init__(self, entry: type[LogEntry], reason: str = "") -> None:
        super().__init__(reason or entry.text)
        self.entry = entry


class CarrierThrottledError(CarrierError):
    """The carrier temporarily accepts no more copies. This attempt does not count towards MAX_ATTEMPTS."""


class CarrierUnavailableError(CarrierError):
    """The carrier failed, and certainly did not accept the copy."""


def pause_seconds(attempts: int) -> float:
    """Return the pause after `attempts` attempts. The pause doubles with each attempt."""
    return FIRST_PAUSE_SECONDS * (1 << max(attempts - 1, 0))
