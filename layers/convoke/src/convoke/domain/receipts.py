"""The Receipt resource: the delivery status of a message to one participant that has an address.

See docs/behaviour/receipts.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Self

from convoke.domain.addresses import Channel
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import Member
from convoke.domain.sids import Prefix


class ReceiptStatus(StrEnum):
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNDELIVERED = "undelivered"


class Receipt(Model):
    """A stored receipt of one message for one participant."""

    account_sid: str
    conversation_sid: str
    sid: str
    message_sid: str
    channel_message_sid: str
    participant_sid: str
    status: ReceiptStatus
    error_code: int = 0
    """0 means that there was no error."""
    date_created: Instant
    date_updated: Instant | None = None


class Share(StrEnum):
    """How many of a message's receipts have a status."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


REACHED = {
    "sent": set(ReceiptStatus) - {ReceiptStatus.FAILED},
    "delivered": {ReceiptStatus.DELIVERED, ReceiptStatus.READ},
    "read": {ReceiptStatus.READ},
    "failed": {ReceiptStatus.FAILED},
    "undelivered": {ReceiptStatus.UNDELIVERED},
}
"""The receipt statuses that each field of `DeliverySummary` includes.

A read message was also delivered and sent, so the fields `delivered` and `sent` include the status `read`.
"""


class DeliverySummary(Model):
    """The field `delivery` of a message: the number of receipts, and how many receipts have reached each status."""

    total: int
    sent: Share
    delivered: Share
    read: Share
    failed: Share
    undelivered: Share

    @classmethod
    def of(cls, receipts: Sequence[Receipt]) -> Self | None:
        """Return the summary of a message's receipts, or None if there are no receipts."""
        if not receipts:
            return None
        shares = {word: _share(each.status in statuses for each in receipts) for word, statuses in REACHED.items()}
        return cls.model_validate({"total": len(receipts), **shares})


def _share(has_status: Iterable[bool]) -> Share:
    values = set(has_status)
    if values == {True}:
        return Share.ALL
    return Share.SOME if True in values else Share.NONE


def channel_prefix(recipient: Member, *, has_media: bool) -> Prefix:
    """Return the prefix of a receipt's `channel_message_sid`. A member of a group MMS gets an MMS even without media.

    See docs/behaviour/receipts.md#channel-message-sids.
    """
    binding = recipient.messaging_binding
    if binding and binding.type is Channel.WHATSAPP:
        return Prefix.WHATSAPP
    return Prefix.MMS if has_media or recipient.is_in_group else Prefix.SMS
