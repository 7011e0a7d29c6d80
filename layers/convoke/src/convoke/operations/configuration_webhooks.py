"""Configuration/Webhooks of the account and of a service: fetch and update (reference, a.8 and a.16)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic.alias_generators import to_pascal

from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import (
    ConfigurationWebhooks,
    ConfigurationWebhooksChange,
    ServiceConfigurationWebhooks,
    WebhookSettingsChange,
)
from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository
from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository


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


def _urls(change: WebhookSettingsChange) -> dict[str, str | None]:
    """By the names of their parameters."""
    return {to_pascal(name): getattr(change, name) for name in ("pre_webhook_url", "post_webhook_url")}
