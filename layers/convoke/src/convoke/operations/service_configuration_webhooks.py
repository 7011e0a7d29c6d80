"""Fetch and update the webhook configuration of a service. The caller must check that the service exists."""

from __future__ import annotations

from convoke.domain.receivers import ReceiverRules
from convoke.domain.service_configuration_webhooks import ServiceConfigurationWebhooks
from convoke.domain.webhooks import WebhookSettingsChange
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.configuration_webhooks import urls_by_field
from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository


@lean_dataclass
class ServiceConfigurationWebhooksOperations:
    configurations: ServiceConfigurationWebhooksRepository
    rules: ReceiverRules

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationWebhooks:
        return self.configurations.fetch(account_sid, chat_service_sid)

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceConfigurationWebhooks:
        """Store the given fields and return the new configuration.

        Raises InvalidWebhookSettingsError if a URL is not allowed. Raises NotFoundError if the service was deleted in
        the meantime.
        """
        self.rules.refuse(urls_by_field(change))
        if not change.model_fields_set:
            return self.fetch(account_sid, chat_service_sid)
        return self.configurations.update(account_sid, chat_service_sid, change)
