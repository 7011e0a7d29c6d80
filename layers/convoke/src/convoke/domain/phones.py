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
    """A phone that has received or sent a message."""

    account_sid: str
    number: str
    date_updated: Instant
    """The date of the last message."""


class PhoneMessage(Model):
    """A message that a simulated phone has received or sent."""

    account_sid: str
    sid: str
    """The SID of the receipt, also if the message has no receipt. Receipt SIDs are unique and sort by date."""
    channel_message_sid: str
    from_: str
    to: str
    """The phone. If the phone has sent the message, the business number."""
    other_receivers: tuple[str, ...] | None = None
    """The receivers of a group MMS other than `to`. None if the phone has received the message."""
    business_address: str | None = None
    """The business number of a group MMS that another phone has sent. None for every other message."""
    outcome: Outcome | None = None
    """What Convoke did with a message that the phone has sent. None if the phone has received the message."""
    body: str
    media_urls: tuple[str, ...] = ()
    conversation_sid: str | None = None
    """None for an automatic answer of the carrier, which belongs to no conversation."""
    message_sid: str | None = None
    date_created: Instant

    @property
    def phone(self) -> str:
        return self.from_ if self.outcome else self.to

    @property
    def business_number(self) -> str:
        """The business number with which the phone exchanges this message."""
        return self.to if self.outcome else self.business_address or self.from_

    @property
    def date_expires(self) -> datetime:
        return self.date_created + PHONE_MESSAGE_LIFETIME
