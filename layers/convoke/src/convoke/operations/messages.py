"""Create, fetch, list, update and delete messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from convoke.domain.conversations import Conversation
from convoke.domain.copies import new_receipts
from convoke.domain.errors import MediaNotFoundError, NotFoundError
from convoke.domain.events import message_added, message_removed, message_updated
from convoke.domain.instants import Clock
from convoke.domain.media import Media, check_channels, check_number
from convoke.domain.messages import (
    SYSTEM,
    Message,
    MessageChange,
    NewMessage,
    find_author,
)
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participants import Member
from convoke.domain.pre_events import PreEvent, apply_message_reply, message_add, message_remove, message_update
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid, sid_with_index
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations, retry_on_conflict
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.media import MediaRepository
from convoke.storage.messages import MessageRepository
from convoke.storage.participants import ParticipantRepository
from convoke.storage.table import Write


@lean_dataclass
class MessageOperations:
    """Reads and changes the messages of conversations.

    A write of a message also increments the revision of the conversation. Therefore optimistic locking detects
    conflicts. Exception: a new status of a receipt changes the message, but does not increment the revision.
    """

    conversations: ConversationOperations
    participants: ParticipantRepository
    messages: MessageRepository
    media: MediaRepository
    now: Clock
    new_sid: NewSid

    @retry_on_conflict
    def create(
        self, service: Service, conversation_sid: str, requested: NewMessage, *, request_webhooks: RequestWebhooks
    ) -> Message:
        """Add a message to a conversation. The message gets the next index. An inactive conversation becomes active.

        Raises NotFoundError if the conversation does not exist. Raises WebhookRejectedError if the receiver of the
        pre-event rejects the message. Raises UnavailableError if optimistic locking fails for too long (see
        `retry_on_conflict`). Raises another error if the state of the conversation permits no changes, or if the
        message is invalid (for example AuthorNotInGroupError).
        """
        before = self.conversations.fetch_to_change(service, conversation_sid)
        return self.add(before, requested, request_webhooks=request_webhooks)

    def add(
        self,
        before: Conversation,
        requested: NewMessage,
        *,
        request_webhooks: RequestWebhooks,
        reached: Collection[str] = (),
        other_writes: Callable[[Message], Sequence[Write]] = lambda _: (),
    ) -> Message:
        """Add a message to the conversation `before`, which the caller has read.

        `reached` are the addresses to which a carrier has already delivered the message. These addresses get no copy.
        `other_writes` takes the message and returns further writes for the same transaction.

        Raises ChangedMeanwhileError if another request has changed the conversation or the media after they were read,
        or if a condition of `other_writes` fails. Raises WebhookRejectedError if the receiver of the pre-event rejects
        the message. Raises another error if the message is invalid.
        """
        members = self._members(before, requested.author)
        requested.check_against_participants(members)
        media = self.sendable_media(before, requested, members, author=request_webhooks.origin.client_identity)
        if reply := request_webhooks.send_pre_event(lambda: self._pre_event(before, requested, members, media)):
            requested = apply_message_reply(requested, reply)
            # The reply of the webhook receiver can replace the author, so check the message again.
            members = self._members(before, requested.author)
            requested.check_against_participants(members)
        now = self.now()
        message = self._message(before, requested, members, media, now)
        receipts = new_receipts(message, members, reached, self.new_sid)
        message = message.model_copy(update={"copies_pending": len(receipts)})
        after, origin = before.with_message(now), request_webhooks.origin
        change = message_added(
            self.new_sid(Prefix.CHANGE), before, after, message, copies=len(receipts), at=now, origin=origin
        )
        self.messages.create(before, after, message, receipts, change, media, other_writes(message))
        return message

    def fetch(self, service: Service, conversation_sid: str, sid: str) -> Message:
        """Return a message. Raises NotFoundError if the conversation or the message does not exist."""
        return self._fetch_of(self.conversations.fetch(service, conversation_sid), sid)

    def list(self, service: Service, conversation_sid: str, page: PageRequest) -> Page[Message]:
        conversation = self.conversations.fetch(service, conversation_sid)
        return self.messages.list(service.account_sid, conversation.sid, page)

    @retry_on_conflict
    def update(
        self,
        service: Service,
        conversation_sid: str,
        sid: str,
        requested: MessageChange,
        *,
        request_webhooks: RequestWebhooks,
    ) -> Message:
        """Store the given fields. If no fields are given, nothing changes."""
        conversation = self.conversations.fetch_to_change(service, conversation_sid)
        message = self._fetch_of(conversation, sid)
        if not requested.model_fields_set:
            return message
        now = self.now()
        edited = self._edited(conversation, message, requested, now)
        if reply := request_webhooks.send_pre_event(lambda: message_update(conversation, edited)):
            edited = self._edited(conversation, message, apply_message_reply(requested, reply), now)
        origin = request_webhooks.origin
        edited = edited.model_copy(update={"last_updated_by": origin.client_identity or SYSTEM})
        change = message_updated(self.new_sid(Prefix.CHANGE), conversation, edited, at=now, origin=origin)
        self.messages.update(conversation, message, edited, change)
        return edited

    @retry_on_conflict
    def delete(self, service: Service, conversation_sid: str, sid: str, *, request_webhooks: RequestWebhooks) -> None:
        """Delete a message, its receipts and its media. No later message gets the same index."""
        conversation = self.conversations.fetch_to_change(service, conversation_sid)
        message = self._fetch_of(conversation, sid)
        request_webhooks.send_pre_event(lambda: message_remove(conversation, message))
        change_sid, origin = self.new_sid(Prefix.CHANGE), request_webhooks.origin
        now = self.now()
        change = message_removed(change_sid, conversation, message, at=now, origin=origin)
        stored = self.media.fetch_many(message.account_sid, [each.sid for each in message.media])
        self.messages.delete(conversation, message, change, [*stored.values()], now)

    def _fetch_of(self, conversation: Conversation, sid: str) -> Message:
        known = parse_sid(sid, Prefix.MESSAGE)
        message = known and self.messages.fetch(conversation.account_sid, conversation.sid, known)
        if not message:
            raise NotFoundError
        return message

    def sendable_media(
        self, conversation: Conversation, requested: NewMessage, members: Sequence[Member], *, author: str | None
    ) -> Sequence[Media]:
        """Return the media that the request names. Raises an error if the new message cannot contain the media.

        `author` is the identity of the chat user who sends the message. None means that no chat user sends the message.
        """
        sids, field = requested.shown_media, requested.media_field
        check_number(sids, field)
        found = self.media.fetch_many(conversation.account_sid, sids)
        if len(found) < len(sids):
            raise MediaNotFoundError(field=field)
        media = [found[sid] for sid in sids]
        for each in media:
            each.check_sendable(author, conversation.chat_service_sid, field)
        check_channels(members, media, field)
        return media

    def _members(self, conversation: Conversation, author: str) -> Sequence[Member]:
        """Return the participants that have a binding, and the author if the author is a participant without a binding.

        The method needs at most one read, however many participants there are. The item of the conversation contains
        the participants with a binding, and the lock on the author's identity contains the author's SID.
        """
        if find_author(conversation.bound, author):
            return conversation.bound
        sid = self.participants.sid_of(conversation.account_sid, conversation.sid, author)
        return [*conversation.bound, Member(sid=sid, identity=author)] if sid else conversation.bound

    def _edited(self, conversation: Conversation, message: Message, requested: MessageChange, now: datetime) -> Message:
        author = requested.author if "author" in requested.model_fields_set else message.author
        return requested.applied_to(message, self._members(conversation, author), now)

    def _pre_event(
        self, conversation: Conversation, requested: NewMessage, members: Sequence[Member], media: Sequence[Media]
    ) -> PreEvent:
        return message_add(conversation, self._message(conversation, requested, members, media, self.now()))

    def _message(
        self,
        conversation: Conversation,
        requested: NewMessage,
        members: Sequence[Member],
        media: Sequence[Media],
        now: datetime,
    ) -> Message:
        return new_message(self.new_sid(Prefix.MESSAGE), conversation, requested, members, media, now)


def new_message(
    sid: str,
    conversation: Conversation,
    requested: NewMessage,
    members: Sequence[Member],
    media: Sequence[Media],
    now: datetime,
) -> Message:
    """Return the message to store for a request. The message gets the conversation's next index.

    The SID of the message is `sid`, but this index replaces the first digits.
    """
    author = find_author(members, requested.author)
    return requested.message(
        now,
        [each.in_message for each in media],
        account_sid=conversation.account_sid,
        conversation_sid=conversation.sid,
        sid=sid_with_index(sid, conversation.next_index),
        index=conversation.next_index,
        participant_sid=author.sid if author else None,
    )
