"""Configuration/Webhooks of the account and of a service: fetch and update (reference, a.8 and a.16)."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.configuration_webhooks import ConfigurationWebhooks, ConfigurationWebhooksChange
from convoke.domain.errors import FieldPath
from convoke.domain.receivers import ReceiverRules
from convoke.domain.service_configuration_webhooks import ServiceConfigurationWebhooks
from convoke.domain.webhooks import WebhookSettingsChange
from convoke.storage.configuration_webhooks import (
    ConfigurationWebhooksRepository,
    ServiceConfigurationWebhooksRepository,
)


@dataclass(frozen=True, slots=True)
class ConfigurationWebhooksOperations:
    configurations: ConfigurationWebhooksRepository
    rules: ReceiverRules

    def fetch(self, account_sid: str) -> ConfigurationWebhooks:
        return self.configurations.fetch(account_sid)

    def update(self, account_sid: str, change: ConfigurationWebhooksChange) -> ConfigurationWebhooks:
        """Change what was given and leave the rest. Raises InvalidWebhookSettingsError."""
        self.rules.refuse(_urls(change))
        return self.configurations.update(account_sid, change)


@dataclass(frozen=True, slots=True)
class ServiceConfigurationWebhooksOperations:
    """Of a service that is there."""

    configurations: ServiceConfigurationWebhooksRepository
    rules: ReceiverRules

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationWebhooks:
        return self.configurations.fetch(account_sid, chat_service_sid)

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceConfigurationWebhooks:
        """Change what was given and leave the rest. Raises InvalidWebhookSettingsError, NotFoundError."""
        self.rules.refuse(_urls(change))
        if not change.model_fields_set:
            return self.fetch(account_sid, chat_service_sid)
        return self.configurations.update(account_sid, chat_service_sid, change)


def _urls(change: WebhookSettingsChange) -> dict[FieldPath, str | None]:
    """By their fields."""
    return {(name,): getattr(change, name) for name in ("pre_webhook_url", "post_webhook_url")}
