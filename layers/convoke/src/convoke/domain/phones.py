"""Simulated phones, and the messages that they have received and sent.

See docs/phones/simulator.md.
"""

from __future__ import annotations

from datetime import datetime

from convoke.domain.inbound_messages import Outcome
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.retention import PHONE_MESSAGE_LIFETIME


class SimulatedPhone(Model):
    """A simulated phone that has received or sent a message."""

    account_sid: str
    number: str
    date_updated: Instant
    """The date of the last message."""


class PhoneMessage(Model):
    """A message that a simulated phone has received or sent."""

    account_sid: str
    sid: str
    """A SID with the prefix of receipts. These SIDs are unique and sort by date.

    If the message is a copy, the SID is the SID of the copy's receipt. Otherwise no receipt has this SID.
    """
    channel_message_sid: str
    from_: str
    to: str
    """The number of the phone if the phone has received the message. Otherwise the business number."""
    numbers: tuple[str, ...] = ()
    """The sender and all receivers of a message from a phone. Empty for a copy and for a carrier's automatic answer."""
    outcome: Outcome | None = None
    """What Convoke did with a message that the phone has sent. None if the phone has received the message."""
    body: str
    media_urls: tuple[str, ...] = ()
    conversation_sid: str | None = None
    """The SID of the conversation that contains the message, or None if no conversation contains the message.

    A copy has the SID of the conversation that contains the original message. A carrier's automatic answer has None. A
    group MMS that another simulated phone has sent to this phone also has None.
    """
    message_sid: str | None = None
    date_created: Instant

    @property
    def phone(self) -> str:
        return self.from_ if self.outcome else self.to

    @property
    def others(self) -> frozenset[str]:
        """All numbers in this message except the number of the phone."""
        return frozenset({self.from_, self.to, *self.numbers}) - {self.phone}

    @property
    def date_expires(self) -> datetime:
        return self.date_created + PHONE_MESSAGE_LIFETIME
