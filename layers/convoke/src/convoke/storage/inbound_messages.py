"""Store inbound messages, and find the conversation to which an inbound message belongs.

One transaction stores the message of the conversation and an inbound record. The key of the inbound record contains the
carrier's id of the message. Therefore Convoke stores a message only once, even if a carrier delivers the message twice.
See docs/behaviour/inbound-messages.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.inbound_messages import InboundMessage, InboundRecord
from convoke.domain.instants import to_milliseconds
from convoke.domain.media import Media
from convoke.domain.messages import Message
from convoke.domain.participants import Participant
from convoke.domain.retention import GROUP_COPY_LIFETIME
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.events import change_write
from convoke.storage.locks import holder_sid, locks_held
from convoke.storage.media import use_writes
from convoke.storage.messages import message_write
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.scoped_webhooks import webhooks_write
from convoke.storage.table import (
    EXPIRES_AT,
    Item,
    LessThan,
    NotExists,
    Or,
    Put,
    Table,
    TransactionCanceledError,
    Write,
    key_of,
)

MAX_GROUP_COPIES = 1000
"""The maximum number of dates of a last copy that `groups_by_last_copy` reads: one date for each group."""

MAX_GROUPS = 100
"""The maximum number of groups that `groups_by_last_copy` returns."""


@lean_dataclass
class InboundMessageRepository:
    table: Table

    def find(self, account_sid: str, inbound: InboundMessage, now: datetime) -> tuple[InboundRecord | None, str | None]:
        """Return the record of an earlier delivery of the message, and the SID of the message's conversation.

        Each of these two results can be None. The conversation holds the lock on the addresses in the message: the lock
        on a set of numbers if the message has several receivers, otherwise the lock on a pair of addresses.
        """
        record_key = keys.inbound_record(account_sid, inbound.provider, inbound.provider_message_id)
        if inbound.is_group:
            lock_key = keys.number_group_lock(account_sid, inbound.numbers)
        else:
            lock_key = keys.pair_lock(account_sid, inbound.sender, inbound.business_address)
        found = self.table.get_many([record_key, lock_key])
        record = items.to_resource(InboundRecord, found[record_key]) if record_key in found else None
        # Ignore an expired record. In DynamoDB, the record may still exist for some days after its expiry date.
        current = record if record and record.date_expires >= now else None
        return current, holder_sid(found[lock_key]) if lock_key in found else None

    def groups_by_last_copy(self, account_sid: str, address: str, projected_address: str) -> list[Conversation]:
        """Return the groups in which a phone has got copies from a business number.

        The groups are ordered by the date of the last copy, newest first. The list has at most MAX_GROUPS groups. The
        list can contain closed groups, but no deleted groups.
        """
        partition = keys.group_copies(account_sid, address, projected_address)
        copies = self.table.query(partition, limit=MAX_GROUP_COPIES, consistent=True)
        latest = sorted(copies, key=lambda copy: str(copy["date_sent"]), reverse=True)[:MAX_GROUPS]
        conversation_keys = [keys.conversation(account_sid, key_of(copy).sk) for copy in latest]
        found = self.table.get_many(conversation_keys)
        groups = [items.to_resource(Conversation, found[key]) for key in conversation_keys if key in found]
        return [group for group in groups if not group.date_removed]

    def create_conversation(
        self,
        record: InboundRecord,
        conversation: Conversation,
        participants: Sequence[Participant],
        webhook: ScopedWebhook | None,
        message: Message,
        media: Sequence[Media],
        change: Change,
        other_writes: Sequence[Write] = (),
    ) -> None:
        """Store a conversation that an inbound message creates, and all items of the conversation, in one transaction.

        Raises ChangedMeanwhileError in these cases:

        - Another conversation holds a lock that the new conversation needs.
        - The inbound message is already stored.
        - One of the media was deleted, or was put into another message.
        - A condition of `other_writes` fails.
        """
        service_sid = conversation.chat_service_sid
        writes: list[Write] = [
            *(lock.acquire(conversation.sid) for lock in locks_held(conversation).values()),
            record_write(record),
            Put(items.conversation_item(conversation), NotExists("pk")),
            *(Put(items.participant_item(participant, service_sid)) for participant in participants),
            *([webhooks_write(conversation, [webhook])] if webhook else []),
            message_write(message),
            *use_writes(message, media),
            change_write(change),
            *other_writes,
        ]
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled


def record_write(record: InboundRecord) -> Put:
    """Return the write that stores the record of an inbound message. The write fails if an unexpired record exists.

    The condition checks the expiry date, because an expired record may still exist in DynamoDB for some days.
    """
    key = keys.inbound_record(record.account_sid, record.provider, record.provider_message_id)
    unused = Or((NotExists("pk"), LessThan(EXPIRES_AT, items.epoch_seconds(record.date_created))))
    return Put(items.with_expiry(items.to_item(key, record), record.date_expires), unused)


def group_copy_write(
    account_sid: str, conversation_sid: str, address: str, projected_address: str, moment: datetime
) -> Put:
    """Return the write that stores `moment` as the time of the last copy from a business number to a group member.

    This write is only needed for a carrier that cannot send a group MMS. See
    docs/decisions/0135-last-copy-of-a-group.md.
    """
    key = keys.group_copy(account_sid, address, projected_address, conversation_sid)
    item: Item = {"pk": key.pk, "sk": key.sk, "date_sent": to_milliseconds(moment)}
    return Put(items.with_expiry(item, moment + GROUP_COPY_LIFETIME))
