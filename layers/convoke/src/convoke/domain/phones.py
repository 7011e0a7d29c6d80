"""The messages that a simulated phone has received.

See docs/phones/simulator.md.
"""

from __future__ import annotations

from datetime import datetime

from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.retention import PHONE_MESSAGE_LIFETIME


class PhoneMessage(Model):
    """A message that a simulated phone has received."""

    account_sid: str
    sid: str
    """The SID of the receipt. Receipt SIDs are unique and sort by date."""
    channel_message_sid: str
    from_: str
    to: str
    body: str
    media_urls: tuple[str, ...] = ()
    conversation_sid: str | None = None
    """None for an automatic answer of the carrier, because such an answer belongs to no conversation."""
    message_sid: str | None = None
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + PHONE_MESSAGE_LIFETIME
