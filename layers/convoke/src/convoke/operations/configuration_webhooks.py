"""Configuration/Webhooks of the account and of a service: fetch and update (reference, a.8 and a.16)."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.webhooks import (
    ServiceWebhookConfiguration,
    WebhookConfiguration,
    WebhookConfigurationChange,
    WebhookSettingsChange,
)
from convoke.operations.ports import ServiceWebhookConfigurationRepository, WebhookConfigurationRepository


@dataclass(frozen=True, slots=True)
class WebhookConfigurationOperations:
    configurations: WebhookConfigurationRepository

    def fetch(self, account_sid: str) -> WebhookConfiguration:
        return self.configurations.fetch(account_sid)

    def update(self, account_sid: str, change: WebhookConfigurationChange) -> WebhookConfiguration:
        """Change what was given and leave the rest."""
        return self.configurations.update(account_sid, change)


@dataclass(frozen=True, slots=True)
class ServiceWebhookConfigurationOperations:
    """Of a service that is there."""

    configurations: ServiceWebhookConfigurationRepository

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceWebhookConfiguration:
        return self.configurations.fetch(account_sid, chat_service_sid)

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceWebhookConfiguration:
        """Change what was given and leave the rest. Raises NotFoundError."""
        if not change.model_fields_set:
            return self.fetch(account_sid, chat_service_sid)
        return self.configurations.update(account_sid, chat_service_sid, change)
