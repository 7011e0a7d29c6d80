"""Configuration/Webhooks of an account, and of a service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.configuration_webhooks import ConfigurationWebhooks, ConfigurationWebhooksChange
from convoke.domain.errors import NotFoundError
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.domain.service_configuration_webhooks import ServiceConfigurationWebhooks, WebhookLevels
from convoke.domain.webhooks import WebhookSettingsChange
from convoke.storage import items, keys
from convoke.storage.scoped_webhooks import webhooks_in
from convoke.storage.services import service_still_exists
from convoke.storage.table import Item, Key, Set, Table, TransactionCanceledError, Update


@dataclass(frozen=True, slots=True)
class ConfigurationWebhooksRepository:
    table: Table

    def fetch(self, account_sid: str) -> ConfigurationWebhooks:
        return _account_level(account_sid, self.table.get(keys.configuration_webhooks(account_sid)))

    def update(self, account_sid: str, change: ConfigurationWebhooksChange) -> ConfigurationWebhooks:
        """Change what was given and leave the rest, whatever else is changed meanwhile."""
        actions = (*items.given(change), Set("account_sid", account_sid))
        updated = self.table.update(Update(keys.configuration_webhooks(account_sid), actions))
        return items.resource(ConfigurationWebhooks, updated)


@dataclass(frozen=True, slots=True)
class ServiceConfigurationWebhooksRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationWebhooks:
        stored = self.table.get(keys.service_configuration_webhooks(account_sid, chat_service_sid))
        return _service_level(account_sid, chat_service_sid, stored)

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceConfigurationWebhooks:
        """The same as of an account. Raises NotFoundError where the service is not there any more.

        Together with a look at the service, so that nothing is left of one that is deleted meanwhile.
        """
        key = keys.service_configuration_webhooks(account_sid, chat_service_sid)
        actions = (*items.given(change), Set("account_sid", account_sid))
        try:
            self.table.transact([service_still_exists(account_sid, chat_service_sid), Update(key, actions)])
        except TransactionCanceledError as canceled:
            raise NotFoundError from canceled
        return self.fetch(account_sid, chat_service_sid)


@dataclass(frozen=True, slots=True)
class WebhookLevelsRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> WebhookLevels:
        """Both levels in one read."""
        return self._read(account_sid, chat_service_sid)[0]

    def fetch_with_scoped(
        self, account_sid: str, chat_service_sid: str, conversation_sid: str
    ) -> tuple[WebhookLevels, Sequence[ScopedWebhook]]:
        """The webhooks of a conversation with them, also of one that was deleted not long ago."""
        of_conversation = keys.scoped_webhooks(account_sid, conversation_sid)
        levels, found = self._read(account_sid, chat_service_sid, of_conversation)
        return levels, webhooks_in(found.get(of_conversation))

    def _read(self, account_sid: str, chat_service_sid: str, *beside: Key) -> tuple[WebhookLevels, dict[Key, Item]]:
        of_account = keys.configuration_webhooks(account_sid)
        of_service = keys.service_configuration_webhooks(account_sid, chat_service_sid)
        found = self.table.get_many([of_account, of_service, *beside])
        levels = WebhookLevels(
            _account_level(account_sid, found.get(of_account)),
            _service_level(account_sid, chat_service_sid, found.get(of_service)),
        )
        return levels, found


def _account_level(account_sid: str, stored: Item | None) -> ConfigurationWebhooks:
    return items.resource(ConfigurationWebhooks, stored or {"account_sid": account_sid})


def _service_level(account_sid: str, chat_service_sid: str, stored: Item | None) -> ServiceConfigurationWebhooks:
    known = {"account_sid": account_sid, "chat_service_sid": chat_service_sid}
    return items.resource(ServiceConfigurationWebhooks, {**(stored or {}), **known})
