"""Store the messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.media import Media
from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receipts import Receipt
from convoke.domain.sync_objects import Action, ObjectKind
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.media import removal_writes, use_writes
from convoke.storage.paging import query_page
from convoke.storage.revisions import differences, revise
from convoke.storage.sync_memory import RecordedTouch, touch_write
from convoke.storage.table import MAX_WRITES, Add, Delete, Exists, Put, Table, Update, Write, key_of


@lean_dataclass
class MessageRepository:
    """Stores, fetches and lists messages.

    Each change of a message is written in one transaction with its events and the new revision of the conversation.
    Every method that writes raises ChangedMeanwhileError if another request changed the conversation, for example added
    or deleted a message, after this request read the conversation.
    """

    table: Table

    def create(
        self,
        before: Conversation,
        after: Conversation,
        message: Message,
        receipts: Sequence[Receipt],
        change: Change,
        media: Sequence[Media] = (),
        other_writes: Sequence[Write] = (),
    ) -> None:
        """Store a new message and its receipts. There is one receipt for each copy of the message.

        Raises ChangedMeanwhileError if the conversation has changed, or if a condition of `other_writes` fails. Also
        raises this error if one of the media was deleted or put into another message.
        """
        change = change.following(before.last_event_id)
        message = message.model_copy(update={"event_id": change.last_event_id})
        copies = [Put(items.to_item(keys.receipt(*_sids(message), receipt.sid), receipt)) for receipt in receipts]
        writes = [message_write(message), *copies, *use_writes(message, media), *other_writes]
        revise(self.table, before, differences(before, after), change, other_writes=writes)

    def fetch(self, account_sid: str, conversation_sid: str, message_sid: str) -> Message | None:
        stored = self.table.get(keys.message(account_sid, conversation_sid, message_sid))
        return items.to_resource(Message, stored) if stored else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Message]:
        """Return a page of the messages of a conversation, ordered by index."""
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.message(account_sid, conversation_sid, page.position) if page.position else None
        return query_page(Message, self.table, partition, keys.messages(), page, position)

    def update(self, conversation: Conversation, before: Message, edited: Message, change: Change) -> None:
        """Store an edited message.

        Only the changed fields are written, so that the update keeps the message's counters of copies. The program that
        sends copies (operations/message_sender.py) can change these counters meanwhile.
        """
        change = change.following(conversation.last_event_id, before.last_event_id)
        event_ids = {"event_id": change.last_event_id, "created_event_id": before.first_event_id}
        edited, key = edited.model_copy(update=event_ids), keys.message(*_sids(edited))
        actions = items.differences(items.to_item(key, before), items.to_item(key, edited))
        update = Update(key, tuple(actions), Exists("pk"))
        touch = _touch_write(conversation, edited, Action.UPDATED, change)
        revise(self.table, conversation, (), change, other_writes=[update, touch])

    def delete(
        self, conversation: Conversation, message: Message, change: Change, media: Sequence[Media], at: datetime
    ) -> None:
        """Delete a message and its receipts, and mark its media as deleted."""
        key, between = keys.message(*_sids(message)), keys.receipts(message.sid)
        # A message has at most one receipt for each participant with a binding, and a conversation has at most 50 such
        # participants. The receipts are written together with their message. Therefore one consistent query with the
        # limit MAX_WRITES finds all receipts, and one transaction can delete the message and all receipts.
        receipts = self.table.query(key.pk, between=between, limit=MAX_WRITES, consistent=True)
        deletes = [Delete(key), *(Delete(key_of(receipt)) for receipt in receipts)]
        change = change.following(conversation.last_event_id, message.last_event_id)
        touch = _touch_write(conversation, message, Action.REMOVED, change)
        writes: list[Write] = [*deletes, touch, *removal_writes(media, at)]
        revise(self.table, conversation, [Add("deleted_messages", 1)], change, other_writes=writes)


def _sids(message: Message) -> tuple[str, str, str]:
    return message.account_sid, message.conversation_sid, message.sid


def _touch_write(conversation: Conversation, message: Message, action: Action, change: Change) -> Put:
    touch = RecordedTouch(event_id=change.last_event_id, action=action, key=str(message.index))
    return touch_write(conversation, ObjectKind.MESSAGES, touch)


def message_write(message: Message) -> Put:
    return Put(items.to_item(keys.message(*_sids(message)), message))
