"""Fetch and update the webhook configuration of an account."""

from __future__ import annotations

from convoke.domain.configuration_webhooks import ConfigurationWebhooks, ConfigurationWebhooksChange
from convoke.domain.errors import FieldPath
from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import WebhookSettingsChange
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository


@lean_dataclass
class ConfigurationWebhooksOperations:
    configurations: ConfigurationWebhooksRepository
    rules: ReceiverRules

    def fetch(self, account_sid: str) -> ConfigurationWebhooks:
        return self.configurations.fetch(account_sid)

    def update(self, account_sid: str, change: ConfigurationWebhooksChange) -> ConfigurationWebhooks:
        """Store the given fields and return the new configuration.

        Raises InvalidWebhookSettingsError if `rules` do not allow a URL.
        """
        self.rules.refuse(urls_by_field(change))
        return self.configurations.update(account_sid, change)


def urls_by_field(change: WebhookSettingsChange) -> dict[FieldPath, str | None]:
    """Map the path of each URL field to its URL in `change`. An example of a path is `("pre_webhook_url",)`."""
    return {(name,): getattr(change, name) for name in ("pre_webhook_url", "post_webhook_url")}
