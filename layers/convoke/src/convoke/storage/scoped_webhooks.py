"""Store the webhooks of a conversation.

One item contains all webhooks of a conversation, so that Convoke can read these webhooks with a single key. See
docs/decisions/0039-conversation-webhooks-one-item.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.model import Model
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.revisions import revise
from convoke.storage.table import Delete, Item, Put, Table


class _ScopedWebhooksItem(Model):
    webhooks: tuple[ScopedWebhook, ...]


def to_scoped_webhooks(stored: Item | None) -> Sequence[ScopedWebhook]:
    """Convert an item to webhooks. A conversation without the item has no webhooks."""
    return items.to_resource(_ScopedWebhooksItem, stored).webhooks if stored else ()


def webhooks_write(conversation: Conversation, webhooks: Sequence[ScopedWebhook]) -> Put | Delete:
    """Return the write that replaces all webhooks of the conversation with `webhooks`."""
    key = keys.scoped_webhooks(conversation.account_sid, conversation.sid)
    ordered = sorted(webhooks, key=lambda webhook: webhook.sid)
    return Put(items.to_item(key, _ScopedWebhooksItem(webhooks=tuple(ordered)))) if ordered else Delete(key)


@lean_dataclass
class ScopedWebhookRepository:
    table: Table

    def every(self, account_sid: str, conversation_sid: str) -> Sequence[ScopedWebhook]:
        """Return all webhooks of a conversation, ordered by SID."""
        return to_scoped_webhooks(self.table.get(keys.scoped_webhooks(account_sid, conversation_sid)))

    def replace(
        self, conversation: Conversation, webhooks: Sequence[ScopedWebhook], change: Change | None = None
    ) -> None:
        """Replace all webhooks of the conversation with `webhooks`.

        `change` is the record of a message replay that a new webhook requests, or None.

        The caller must read the conversation before the webhooks. The revision of the conversation then also protects
        the webhooks. Raises ChangedMeanwhileError if another request changed the conversation or its webhooks after the
        caller read the conversation.
        """
        write = webhooks_write(conversation, webhooks)
        revise(self.table, conversation, (), change, other_writes=[write])
