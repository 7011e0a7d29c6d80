"""A channel sender without a carrier. Each copy of a message gets the status `sent`, but no copy leaves Convoke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.messages import Message
from convoke.domain.participants import Member
from convoke.domain.receipts import Receipt, ReceiptStatus, channel_prefix
from convoke.domain.sids import NewSid, Prefix


@dataclass(frozen=True, slots=True)
class Outbox:
    """Implements `ChannelSender`."""

    new_sid: NewSid

    def send(self, message: Message, recipients: Sequence[Member], at: datetime) -> list[Receipt]:
        return [self._receipt(message, recipient, at) for recipient in recipients]

    def _receipt(self, message: Message, recipient: Member, at: datetime) -> Receipt:
        return Receipt(
            account_sid=message.account_sid,
            conversation_sid=message.conversation_sid,
            sid=self.new_sid(Prefix.RECEIPT),
            message_sid=message.sid,
            channel_message_sid=self.new_sid(channel_prefix(recipient, has_media=bool(message.media))),
            participant_sid=recipient.sid,
            status=ReceiptStatus.SENT,
            date_created=at,
            date_updated=at,
        )
