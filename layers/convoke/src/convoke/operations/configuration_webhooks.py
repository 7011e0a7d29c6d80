"""The account's Configuration/Webhooks: fetch and update (reference, a.8)."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.webhooks import WebhookConfiguration, WebhookConfigurationChange
from convoke.operations.ports import WebhookConfigurationRepository


@dataclass(frozen=True, slots=True)
class WebhookConfigurationOperations:
    configurations: WebhookConfigurationRepository

    def fetch(self, account_sid: str) -> WebhookConfiguration:
        return self.configurations.fetch(account_sid)

    def update(self, account_sid: str, change: WebhookConfigurationChange) -> WebhookConfiguration:
        """Change what was given and leave the rest."""
        return self.configurations.update(account_sid, change)
