"""Carriers: the providers that deliver copies of messages to phones, and what their answers mean.

See docs/phones.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convoke.domain.errors import LogEntry
from convoke.domain.receipts import Receipt, ReceiptStatus
from convoke.domain.senders import Sender, TwilioCredentials

MAX_ATTEMPTS = 6
"""How often a copy is given to a carrier that fails. Afterwards the copy has failed."""

FIRST_PAUSE_SECONDS = 5.0


class OutboundCopy(NamedTuple):
    """A copy as a carrier gets it."""

    receipt: Receipt
    sender: Sender
    address: str
    """The phone that gets the copy."""
    text: str
    secret: TwilioCredentials | None = None
    """The credentials of the sender. None if the carrier needs none."""
    media_urls: Sequence[str] = ()


class SentCopy(NamedTuple):
    """What a carrier answers when it has taken a copy."""

    provider_message_id: str
    status: ReceiptStatus = ReceiptStatus.SENT


class CarrierError(Exception):
    """A carrier has not taken a copy."""


class CarrierRefusedError(CarrierError):
    """The carrier will never send the copy, for example because the phone has opted out."""

    def __init__(self, entry: type[LogEntry], reason: str = "") -> None:
        super().__init__(reason or entry.text)
        self.entry = entry


class CarrierThrottledError(CarrierError):
    """The carrier takes no more copies at present. This attempt does not count."""


class CarrierUnavailableError(CarrierError):
    """The carrier failed, but has certainly not taken the copy."""


def pause_seconds(attempts: int) -> float:
    """Return the pause after `attempts` attempts. The pause doubles with each attempt."""
    return FIRST_PAUSE_SECONDS * (1 << max(attempts - 1, 0))
