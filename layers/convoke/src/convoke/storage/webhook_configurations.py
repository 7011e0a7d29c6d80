"""Configuration/Webhooks of an account."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.webhooks import WebhookConfiguration
from convoke.storage import items, keys
from convoke.storage.table import Put, Table


@dataclass(frozen=True, slots=True)
class WebhookConfigurationTable:
    table: Table

    def fetch(self, account_sid: str) -> WebhookConfiguration:
        stored = self.table.get(keys.webhook_configuration(account_sid))
        return items.resource(WebhookConfiguration, stored or {"account_sid": account_sid})

    def put(self, configuration: WebhookConfiguration) -> None:
        key = keys.webhook_configuration(configuration.account_sid)
        self.table.transact([Put(items.item(key, configuration))])
