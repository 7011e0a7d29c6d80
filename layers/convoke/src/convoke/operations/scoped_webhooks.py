"""Create, fetch, list, update and delete the webhooks of a conversation."""

from __future__ import annotations

from collections.abc import Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.errors import InvalidWebhookSidError, NotFoundError, TooManyWebhooksError
from convoke.domain.instants import Clock
from convoke.domain.message_replays import requested_replay
from convoke.domain.pages import Page, PageRequest, page_of_list
from convoke.domain.receivers import ReceiverRules
from convoke.domain.scoped_webhooks import (
    MAX_WEBHOOKS_PER_CONVERSATION,
    NewScopedWebhook,
    ScopedWebhook,
    ScopedWebhookChange,
)
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations, retry_on_conflict
from convoke.storage.scoped_webhooks import ScopedWebhookRepository


@lean_dataclass
class ScopedWebhookOperations:
    """Reads and changes the webhooks of conversations.

    Each write of a webhook also increments the revision of the conversation, so that optimistic locking detects
    conflicts. Each operation reads the conversation before the webhooks. Therefore optimistic locking also detects a
    change between these reads.
    """

    conversations: ConversationOperations
    webhooks: ScopedWebhookRepository
    rules: ReceiverRules
    now: Clock
    new_sid: NewSid

    @retry_on_conflict
    def create(self, service: Service, conversation_sid: str, requested: NewScopedWebhook) -> ScopedWebhook:
        """Create a webhook of a conversation. See docs/behaviour/scoped-webhooks.md#create.

        Raises NotFoundError if the conversation does not exist. Raises TooManyWebhooksError if the conversation already
        has MAX_WEBHOOKS_PER_CONVERSATION webhooks. Raises another error if a required parameter is missing, if the URL
        is not allowed, or if the conversation is closed or deleted.
        """
        conversation = self._conversation(service, conversation_sid)
        conversation.refuse_webhooks()
        requested.check_required_configuration()
        self.rules.refuse({("configuration", "url"): requested.url})
        webhooks = self._webhooks_of(conversation)
        if len(webhooks) >= MAX_WEBHOOKS_PER_CONVERSATION:
            raise TooManyWebhooksError
        webhook = requested.webhook(
            self.now(),
            account_sid=conversation.account_sid,
            conversation_sid=conversation.sid,
            sid=self.new_sid(Prefix.WEBHOOK),
        )
        replay = requested_replay(self.new_sid(Prefix.CHANGE), conversation, webhook)
        self.webhooks.replace(conversation, [*webhooks, webhook], replay)
        return webhook

    def fetch(self, service: Service, conversation_sid: str, sid: str) -> ScopedWebhook:
        """Return a webhook of a conversation.

        Raises InvalidWebhookSidError if `sid` is not a webhook SID. Raises NotFoundError if the conversation or the
        webhook does not exist.
        """
        return _find(self._webhooks_of(self.conversations.fetch(service, conversation_sid)), sid)

    def list(self, service: Service, conversation_sid: str, page: PageRequest) -> Page[ScopedWebhook]:
        webhooks = self._webhooks_of(self.conversations.fetch(service, conversation_sid))
        return page_of_list(webhooks, [webhook.sid for webhook in webhooks], page)

    @retry_on_conflict
    def update(
        self, service: Service, conversation_sid: str, sid: str, requested: ScopedWebhookChange
    ) -> ScopedWebhook:
        """Store the given fields. If no fields are given, nothing changes.

        Raises InvalidWebhookSidError if `sid` is not a webhook SID. Raises NotFoundError if the conversation or the
        webhook does not exist. Raises another error if the URL is not allowed, or if the conversation is closed or
        deleted.
        """
        conversation = self._conversation(service, conversation_sid)
        conversation.refuse_webhooks()
        webhooks = self._webhooks_of(conversation)
        webhook = _find(webhooks, sid)
        self.rules.refuse({("configuration", "url"): requested.url})
        updated = requested.applied_to(webhook, self.now())
        if updated is not webhook:
            self.webhooks.replace(conversation, [*_without(webhooks, webhook), updated])
        return updated

    @retry_on_conflict
    def delete(self, service: Service, conversation_sid: str, sid: str) -> None:
        """Delete a webhook, in any state of the conversation. See docs/behaviour/scoped-webhooks.md#allowed-states.

        Raises InvalidWebhookSidError if `sid` is not a webhook SID. Raises NotFoundError if the conversation or the
        webhook does not exist. Raises ConversationBeingDeletedError if the conversation was deleted.
        """
        conversation = self._conversation(service, conversation_sid)
        conversation.refuse_deleted()
        webhooks = self._webhooks_of(conversation)
        self.webhooks.replace(conversation, _without(webhooks, _find(webhooks, sid)))

    def _conversation(self, service: Service, conversation_sid: str) -> Conversation:
        """Return a conversation, which may be a tombstone. Raises NotFoundError if the conversation does not exist."""
        conversation, _ = self.conversations.fetch_with_provisioning(service, conversation_sid)
        return conversation

    def _webhooks_of(self, conversation: Conversation) -> Sequence[ScopedWebhook]:
        return self.webhooks.every(conversation.account_sid, conversation.sid)


def _find(webhooks: Sequence[ScopedWebhook], sid: str) -> ScopedWebhook:
    known = parse_sid(sid, Prefix.WEBHOOK)
    if known is None:
        raise InvalidWebhookSidError
    for webhook in webhooks:
        if webhook.sid == known:
            return webhook
    raise NotFoundError


def _without(webhooks: Sequence[ScopedWebhook], webhook: ScopedWebhook) -> list[ScopedWebhook]:
    return [each for each in webhooks if each is not webhook]
