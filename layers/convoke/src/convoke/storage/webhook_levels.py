"""Fetch the webhook configurations that apply to an event.

Webhooks are configured at three levels: account, service and conversation.
"""

from __future__ import annotations

from collections.abc import Sequence

from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.domain.service_configuration_webhooks import WebhookLevels
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.configuration_webhooks import to_configuration_webhooks
from convoke.storage.scoped_webhooks import to_scoped_webhooks
from convoke.storage.service_configuration_webhooks import to_service_configuration_webhooks
from convoke.storage.table import Item, Key, Table


@lean_dataclass
class WebhookLevelsRepository:
    """Reads the webhook configurations of several levels in one call, because most events need several levels."""

    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> WebhookLevels:
        """Return the webhook configurations of an account and of one of its services."""
        return self._read(account_sid, chat_service_sid)[0]

    def fetch_with_scoped(
        self, account_sid: str, chat_service_sid: str, conversation_sid: str
    ) -> tuple[WebhookLevels, Sequence[ScopedWebhook]]:
        """Return the webhook configurations of an account and a service, and the webhooks of a conversation.

        The webhooks of a deleted conversation are returned for at least `WEBHOOKS_RETENTION` after the deletion.
        """
        scoped_key = keys.scoped_webhooks(account_sid, conversation_sid)
        levels, found = self._read(account_sid, chat_service_sid, scoped_key)
        return levels, to_scoped_webhooks(found.get(scoped_key))

    def _read(self, account_sid: str, chat_service_sid: str, *more: Key) -> tuple[WebhookLevels, dict[Key, Item]]:
        account_key = keys.configuration_webhooks(account_sid)
        service_key = keys.service_configuration_webhooks(account_sid, chat_service_sid)
        found = self.table.get_many([account_key, service_key, *more])
        levels = WebhookLevels(
            to_configuration_webhooks(account_sid, found.get(account_key)),
            to_service_configuration_webhooks(account_sid, chat_service_sid, found.get(service_key)),
        )
        return levels, found
