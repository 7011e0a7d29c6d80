"""Configuration/Webhooks of an account."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.webhooks import WebhookConfiguration, WebhookConfigurationChange
from convoke.storage import items, keys
from convoke.storage.table import Action, Remove, Set, Table, Update


@dataclass(frozen=True, slots=True)
class WebhookConfigurationTable:
    table: Table

    def fetch(self, account_sid: str) -> WebhookConfiguration:
        stored = self.table.get(keys.webhook_configuration(account_sid))
        return items.resource(WebhookConfiguration, stored or {"account_sid": account_sid})

    def update(self, account_sid: str, change: WebhookConfigurationChange) -> WebhookConfiguration:
        """Only what was given is written, so that of two changes at once none is lost."""
        given = change.model_dump(mode="json", exclude_unset=True)
        actions: list[Action] = [Remove(name) if value is None else Set(name, value) for name, value in given.items()]
        actions.append(Set("account_sid", account_sid))
        updated = self.table.update(Update(keys.webhook_configuration(account_sid), tuple(actions)))
        return items.resource(WebhookConfiguration, updated)
