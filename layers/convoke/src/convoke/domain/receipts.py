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
    """How many receipts of a message have a certain status."""

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
"""The keys are fields of `DeliverySummary`. The values are the receipt statuses that the fields count.

If a recipient has read a message, the message was also sent and delivered. Therefore the fields `sent` and `delivered`
also count the status `read`.
"""


class DeliverySummary(Model):
    """The field `delivery` of a message. Each field except `total` tells how many receipts have reached a status."""

    total: int
    """The number of receipts of the message."""
    sent: Share
    delivered: Share
    read: Share
    failed: Share
    undelivered: Share

    @classmethod
    def of(cls, receipts: Sequence[Receipt]) -> Self | None:
        """Return the summary of the receipts of a message, or None if there are no receipts."""
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
    """Return the prefix of the `channel_message_sid` of a receipt.

    See docs/behaviour/receipts.md#channel-message-sids.
    """
    binding = recipient.messaging_binding
    if binding and binding.type is Channel.WHATSAPP:
        return Prefix.WHATSAPP
    return Prefix.MMS if has_media else Prefix.SMS
