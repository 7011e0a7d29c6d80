"""Configuration/Webhooks of an account, and of a service."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.errors import NotFoundError
from convoke.domain.webhooks import (
    ServiceWebhookConfiguration,
    WebhookConfiguration,
    WebhookConfigurationChange,
    WebhookSettingsChange,
)
from convoke.storage import items, keys
from convoke.storage.services import still_there
from convoke.storage.table import Action, Remove, Set, Table, TransactionCanceledError, Update


@dataclass(frozen=True, slots=True)
class WebhookConfigurationTable:
    table: Table

    def fetch(self, account_sid: str) -> WebhookConfiguration:
        stored = self.table.get(keys.webhook_configuration(account_sid))
        return items.resource(WebhookConfiguration, stored or {"account_sid": account_sid})

    def update(self, account_sid: str, change: WebhookConfigurationChange) -> WebhookConfiguration:
        actions = (*_given(change), Set("account_sid", account_sid))
        updated = self.table.update(Update(keys.webhook_configuration(account_sid), actions))
        return items.resource(WebhookConfiguration, updated)


@dataclass(frozen=True, slots=True)
class ServiceWebhookConfigurationTable:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceWebhookConfiguration:
        stored = self.table.get(keys.service_webhook_configuration(account_sid, chat_service_sid))
        known = {"account_sid": account_sid, "chat_service_sid": chat_service_sid}
        return items.resource(ServiceWebhookConfiguration, {**(stored or {}), **known})

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceWebhookConfiguration:
        """Together with a look at the service, so that nothing is left of one that is deleted meanwhile."""
        key = keys.service_webhook_configuration(account_sid, chat_service_sid)
        actions = (*_given(change), Set("account_sid", account_sid))
        try:
            self.table.transact([still_there(account_sid, chat_service_sid), Update(key, actions)])
        except TransactionCanceledError as canceled:
            raise NotFoundError from canceled
        return self.fetch(account_sid, chat_service_sid)


def _given(change: WebhookSettingsChange) -> list[Action]:
    """Only what was given is written, so that of two changes at once none is lost."""
    given = change.model_dump(mode="json", exclude_unset=True)
    return [Remove(name) if value is None else Set(name, value) for name, value in given.items()]
