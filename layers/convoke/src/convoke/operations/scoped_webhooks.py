"""The webhooks of a conversation: create, fetch, list, update, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from convoke.operations.conversations import ConversationOperations, retry_on_conflict
from convoke.storage.scoped_webhooks import ScopedWebhookRepository


@dataclass(frozen=True, slots=True)
class ScopedWebhookOperations:
    """A change of them counts as one of their conversation, so no change is based on what is past.

    The conversation is read before them: what is changed between the two reads is noticed.
    """

    conversations: ConversationOperations
    webhooks: ScopedWebhookRepository
    rules: ReceiverRules
    now: Clock
    new_sid: NewSid

    @retry_on_conflict
    def create(self, service: Service, conversation_sid: str, requested: NewScopedWebhook) -> ScopedWebhook:
        """Create a webhook of a conversation.

        Raises NotFoundError, TooManyWebhooksError, and the error of a missing parameter, of a refused URL or of a
        conversation that takes no webhooks.
        """
        conversation = self._there(service, conversation_sid)
        conversation.refuse_webhooks()
        requested.check_required_configuration()
        self.rules.refuse({("configuration", "url"): requested.url})
        standing = self._every(conversation)
        if len(standing) >= MAX_WEBHOOKS_PER_CONVERSATION:
            raise TooManyWebhooksError
        webhook = requested.webhook(
            self.now(),
            account_sid=conversation.account_sid,
            conversation_sid=conversation.sid,
            sid=self.new_sid(Prefix.WEBHOOK),
        )
        replay = requested_replay(self.new_sid(Prefix.CHANGE), conversation, webhook)
        self.webhooks.replace(conversation, [*standing, webhook], replay)
        return webhook

    def fetch(self, service: Service, conversation_sid: str, sid: str) -> ScopedWebhook:
        """Raises NotFoundError for the conversation as for the webhook, and InvalidWebhookSidError."""
        return _among(self._every(self.conversations.fetch(service, conversation_sid)), sid)

    def list(self, service: Service, conversation_sid: str, page: PageRequest) -> Page[ScopedWebhook]:
        webhooks = self._every(self.conversations.fetch(service, conversation_sid))
        return page_of_list(webhooks, [webhook.sid for webhook in webhooks], page)

    @retry_on_conflict
    def update(
        self, service: Service, conversation_sid: str, sid: str, requested: ScopedWebhookChange
    ) -> ScopedWebhook:
        """Change what was given and leave the rest; where that is nothing, nothing changes."""
        conversation = self._there(service, conversation_sid)
        conversation.refuse_webhooks()
        standing = self._every(conversation)
        webhook = _among(standing, sid)
        self.rules.refuse({("configuration", "url"): requested.url})
        updated = requested.applied_to(webhook, self.now())
        if updated is not webhook:
            self.webhooks.replace(conversation, [*_without(standing, webhook), updated])
        return updated

    @retry_on_conflict
    def delete(self, service: Service, conversation_sid: str, sid: str) -> None:
        """In any state of the conversation (reference, e.2)."""
        conversation = self._there(service, conversation_sid)
        conversation.refuse_deleted()
        standing = self._every(conversation)
        self.webhooks.replace(conversation, _without(standing, _among(standing, sid)))

    def _there(self, service: Service, conversation_sid: str) -> Conversation:
        """Also one that is deleted. Raises NotFoundError."""
        conversation, _ = self.conversations.fetch_with_provisioning(service, conversation_sid)
        return conversation

    def _every(self, conversation: Conversation) -> Sequence[ScopedWebhook]:
        return self.webhooks.every(conversation.account_sid, conversation.sid)


def _among(webhooks: Sequence[ScopedWebhook], sid: str) -> ScopedWebhook:
    known = parse_sid(sid, Prefix.WEBHOOK)
    if known is None:
        raise InvalidWebhookSidError
    for webhook in webhooks:
        if webhook.sid == known:
            return webhook
    raise NotFoundError


def _without(webhooks: Sequence[ScopedWebhook], webhook: ScopedWebhook) -> list[ScopedWebhook]:
    return [each for each in webhooks if each is not webhook]
