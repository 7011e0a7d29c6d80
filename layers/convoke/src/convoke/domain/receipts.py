"""The Receipt resource: the delivery status of a message to one participant that has an address.

See docs/behaviour/receipts.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from operator import not_
from typing import Literal, Self, cast

from pydantic import Field

from convoke.domain.addresses import Channel
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import Member
from convoke.domain.sids import Prefix


class ReceiptStatus(StrEnum):
    """The progress of one copy of a message. A status changes only to a later member, except from SENDING to QUEUED."""

    QUEUED = "queued"
    """No carrier has accepted the copy yet.

    Responses show the statuses `queued` and `sending` as null, because Twilio does not have these statuses.
    """
    SENDING = "sending"
    """Convoke called a carrier, and the outcome of the call is not stored yet."""
    SENT = "sent"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"


PENDING = frozenset({ReceiptStatus.QUEUED, ReceiptStatus.SENDING})
"""The statuses before a carrier has accepted or refused the copy."""

ShownStatus = Literal[
    ReceiptStatus.SENT,
    ReceiptStatus.UNDELIVERED,
    ReceiptStatus.FAILED,
    ReceiptStatus.DELIVERED,
    ReceiptStatus.READ,
]
"""The statuses that responses and events show."""

ORDER = {status: place for place, status in enumerate(ReceiptStatus)}


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
    """The code of the error, or 0 if there was no error."""
    address: str | None = None
    """The phone, or the e-mail address, that gets the copy.

    None if an early version of Convoke stored the receipt. Early versions did not send copies to carriers.
    """
    business_address: str | None = None
    """The address that the phone sees as the sender. If this field is None, no carrier can send the copy."""
    in_group: bool = Field(default=False, exclude_if=not_)
    """Whether the recipient is a member of a group MMS.

    A carrier that cannot send a group MMS sends a separate copy to each member.
    """
    attempts: int = Field(default=0, exclude_if=not_)
    """The number of attempts to send the copy. An attempt that the carrier throttled does not count."""
    failures: int = Field(default=0, exclude_if=not_)
    """The number of times that Convoke itself failed to process the copy.

    Always 0 on one machine, because the queue counts these failures there.
    """
    may_be_repeated: bool = Field(default=False, exclude_if=not_)
    """Whether the phone may get the copy twice. True after Convoke lost the outcome of a call and called again."""
    provider: str | None = None
    provider_message_id: str | None = None
    """The carrier's id of the copy. None until Convoke has stored that the carrier accepted the copy."""
    date_created: Instant
    date_updated: Instant | None = None

    @property
    def is_pending(self) -> bool:
        return self.status in PENDING

    @property
    def outcome_is_lost_again(self) -> bool:
        """Whether Convoke lost the outcomes of two calls to the carrier. A third call could send the copy again."""
        return self.status is ReceiptStatus.SENDING and self.may_be_repeated

    @property
    def shown_status(self) -> ShownStatus | None:
        return None if self.is_pending else cast("ShownStatus", self.status)

    def can_become(self, status: ReceiptStatus) -> bool:
        """Return whether a carrier's report may change the status to `status`. A report only moves a status forward.

        The report can come even before Convoke stores that the carrier accepted the copy. If `address` is None, the
        result is False, because Convoke sent no copy.
        """
        return self.address is not None and ORDER[self.status] < ORDER[status]


class Share(StrEnum):
    """The share of a message's receipts that have reached a status: all, some or none."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


REACHED = {
    "sent": set(ReceiptStatus) - PENDING - {ReceiptStatus.FAILED},
    "delivered": {ReceiptStatus.DELIVERED, ReceiptStatus.READ},
    "read": {ReceiptStatus.READ},
    "failed": {ReceiptStatus.FAILED},
    "undelivered": {ReceiptStatus.UNDELIVERED},
}
"""Maps each field of `DeliverySummary`, except `total`, to the receipt statuses that the field counts.

A message that was read was also sent and delivered. Therefore a field can count several statuses.
"""


class DeliverySummary(Model):
    """The field `delivery` of a message. Each field except `total` is the share of receipts that reached a status."""

    total: int
    """The number of receipts of the message."""
    sent: Share
    delivered: Share
    read: Share
    failed: Share
    undelivered: Share

    @classmethod
    def of(cls, counts: Mapping[ReceiptStatus, int]) -> Self | None:
        """Return the summary of a message. `counts` maps each status to the number of receipts with this status.

        Return None if the message has no receipts.
        """
        total = sum(counts.values())
        if not total:
            return None
        reached = {word: sum(counts.get(status, 0) for status in statuses) for word, statuses in REACHED.items()}
        return cls.model_validate({"total": total} | {word: _share(number, total) for word, number in reached.items()})


def _share(number: int, total: int) -> Share:
    if number >= total:
        return Share.ALL
    return Share.SOME if number > 0 else Share.NONE


COUNTED = tuple(status for status in ReceiptStatus if status is not ReceiptStatus.SENDING)
"""One status for each counter of a message. SENDING is missing, because SENDING and QUEUED share a counter."""


def counter_of(status: ReceiptStatus) -> str:
    """Return the name of the message field that counts the receipts with this status."""
    return "copies_pending" if status in PENDING else f"copies_{status}"


def channel_prefix(recipient: Member, *, has_media: bool) -> Prefix:
    """Return the prefix of a receipt's `channel_message_sid`.

    See docs/behaviour/receipts.md#channel-message-sids.
    """
    binding = recipient.messaging_binding
    if binding and binding.type is Channel.WHATSAPP:
        return Prefix.WHATSAPP
    return Prefix.MMS if has_media else Prefix.SMS
