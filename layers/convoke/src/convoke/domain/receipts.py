"""Receipts: what became of the copy of a message for one member outside chat (reference, a.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Self

from convoke.domain.addresses import Channel
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.sids import Prefix


class ReceiptStatus(StrEnum):
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNDELIVERED = "undelivered"


class Receipt(Model):
    account_sid: str
    conversation_sid: str
    sid: str
    message_sid: str
    channel_message_sid: str
    participant_sid: str
    status: ReceiptStatus
    error_code: int = 0
    """0 where there is none."""
    date_created: Instant
    date_updated: Instant | None = None


class Share(StrEnum):
    """How many of the copies."""

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
"""The statuses of the copies that a word of the summary counts: what was read was delivered and sent before."""


class DeliverySummary(Model):
    """The `delivery` of a message."""

    total: int
    sent: Share
    delivered: Share
    read: Share
    failed: Share
    undelivered: Share

    @classmethod
    def of(cls, receipts: Sequence[Receipt]) -> Self | None:
        """None where there are none."""
        if not receipts:
            return None
        shares = {word: _share(each.status in statuses for each in receipts) for word, statuses in REACHED.items()}
        return cls.model_validate({"total": len(receipts), **shares})


def _share(counted: Iterable[bool]) -> Share:
    both = set(counted)
    if both == {True}:
        return Share.ALL
    return Share.SOME if True in both else Share.NONE


def channel_prefix(recipient: Participant, *, has_media: bool) -> Prefix:
    """Of the SID of a copy: members of a group are reached by MMS, whatever is sent (reference, a.5)."""
    binding = recipient.messaging_binding
    if binding and binding.type is Channel.WHATSAPP:
        return Prefix.WHATSAPP
    return Prefix.MMS if has_media or recipient.is_in_group else Prefix.SMS
