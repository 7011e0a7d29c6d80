"""The webhooks of a conversation: one item holds them all, so that whoever splits an event reads them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.model import Model
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.storage import items, keys
from convoke.storage.revisions import revise
from convoke.storage.table import Delete, Item, Put, Table


class _Kept(Model):
    webhooks: tuple[ScopedWebhook, ...]


def webhooks_in(stored: Item | None) -> Sequence[ScopedWebhook]:
    return items.resource(_Kept, stored).webhooks if stored else ()


@dataclass(frozen=True, slots=True)
class ScopedWebhookRepository:
    table: Table

    def every(self, account_sid: str, conversation_sid: str) -> Sequence[ScopedWebhook]:
        """All those of a conversation, by their SIDs."""
        return webhooks_in(self.table.get(keys.scoped_webhooks(account_sid, conversation_sid)))

    def replace(
        self, conversation: Conversation, webhooks: Sequence[ScopedWebhook], change: Change | None = None
    ) -> None:
        """Store these in the place of those there were.

        Raises ChangedMeanwhileError where the conversation is not what was read any more, or was not before them.

        The conversation's revision guards them, too: it is what the deletion of the conversation ends.
        """
        key = keys.scoped_webhooks(conversation.account_sid, conversation.sid)
        ordered = sorted(webhooks, key=lambda webhook: webhook.sid)
        kept = Put(items.item(key, _Kept(webhooks=tuple(ordered)))) if ordered else Delete(key)
        revise(self.table, conversation, (), change, beside=[kept])
