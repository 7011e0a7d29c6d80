"""The copies of a message. A copy contains the text and the media that a carrier delivers to one phone.

In this module, a phone can also be an e-mail address. Each participant with an address gets one copy, with two
exceptions. The author gets no copy. A phone of a group MMS gets no copy if the phone got the message directly from the
carrier.

See docs/behaviour/receipts.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from convoke.domain.instants import Instant
from convoke.domain.messages import Message
from convoke.domain.model import Model
from convoke.domain.participants import Member
from convoke.domain.receipts import Receipt, ReceiptStatus, channel_prefix
from convoke.domain.sids import NewSid, Prefix


class Copy(Model):
    """The SIDs that identify one copy of a message, and its line. This model does not contain the text and the media.

    The queue messages about copies contain this model as JSON.
    """

    account_sid: str
    conversation_sid: str
    message_sid: str
    receipt_sid: str
    line: str = ""
    """A line consists of the business address that sends the copy and of the phone that gets the copy.

    Example: `+15017122661>+15558675310`. Convoke sends the copies of one line in order, one at a time.

    The line is empty if this model comes from a carrier's report about a copy, because Convoke then sends nothing.
    """

    queued_at: Instant | None = None
    """The time at which Convoke enqueued the copy.

    The dates of the receipt can be different, because a client can set the date of a message. None if an older version
    of Convoke enqueued the copy, or if this model comes from a carrier's report.
    """

    @classmethod
    def of(cls, receipt: Receipt, queued_at: datetime | None = None) -> Copy:
        return cls(
            account_sid=receipt.account_sid,
            conversation_sid=receipt.conversation_sid,
            message_sid=receipt.message_sid,
            receipt_sid=receipt.sid,
            line=f"{receipt.business_address}>{receipt.address}",
            queued_at=queued_at,
        )


def new_receipts(
    message: Message, members: Sequence[Member], reached: Collection[str], new_sid: NewSid
) -> list[Receipt]:
    """Return a receipt for each copy of a new message. The receipts have the status `queued`.

    `members` are the participants with a binding, and the author. `reached` are the addresses that got the message
    directly from the carrier. A group member with such an address gets no copy.
    """
    author = next((each for each in members if each.sid == message.participant_sid), None)
    others = [each for each in members if each.address and each is not author]
    return [
        _receipt(message, each, business_address(each, author, members), new_sid)
        for each in others
        if not (each.is_in_group and each.address in reached)
    ]


def business_address(recipient: Member, author: Member | None, members: Sequence[Member]) -> str | None:
    """Return the business address that sends a copy to `recipient`, or None if there is no such address.

    The proxy address of the recipient has priority, then the projected address of the author. Without both, return the
    first projected address in `members`.
    """
    if recipient.pair:
        return recipient.pair[1]
    if author and author.projected_address:
        return author.projected_address
    return next((each.projected_address for each in members if each.projected_address), None)


def text_of_copy(message: Message, *, in_group: bool, is_group_mms: bool) -> str:
    """Return the text of a copy. The text starts with the author if a member of a group MMS gets a separate copy.

    The phone shows the business address as the sender of a separate copy, and would not show the author.

    `in_group` says whether the recipient is a member of a group MMS. `is_group_mms` says whether the carrier can send a
    group MMS. If not, the carrier sends a separate copy to each member.
    """
    body = message.body or ""
    return f"{message.author}: {body}" if in_group and not is_group_mms else body


def _receipt(message: Message, recipient: Member, business: str | None, new_sid: NewSid) -> Receipt:
    return Receipt(
        account_sid=message.account_sid,
        conversation_sid=message.conversation_sid,
        sid=new_sid(Prefix.RECEIPT),
        message_sid=message.sid,
        channel_message_sid=new_sid(channel_prefix(recipient, has_media=bool(message.media))),
        participant_sid=recipient.sid,
        status=ReceiptStatus.QUEUED,
        address=recipient.address,
        business_address=business,
        in_group=recipient.is_in_group,
        date_created=message.date_created,
        date_updated=message.date_created,
    )
