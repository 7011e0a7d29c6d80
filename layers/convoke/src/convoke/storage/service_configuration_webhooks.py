"""Store the webhook configuration of a service. The first update creates the item."""

from __future__ import annotations

from convoke.domain.errors import NotFoundError
from convoke.domain.service_configuration_webhooks import ServiceConfigurationWebhooks
from convoke.domain.webhooks import WebhookSettingsChange
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.services import service_still_exists
from convoke.storage.table import Item, Set, Table, TransactionCanceledError, Update


@lean_dataclass
class ServiceConfigurationWebhooksRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationWebhooks:
        stored = self.table.get(keys.service_configuration_webhooks(account_sid, chat_service_sid))
        return to_service_configuration_webhooks(account_sid, chat_service_sid, stored)

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceConfigurationWebhooks:
        """Store the fields that `change` sets, and return the new configuration.

        Raises NotFoundError if the service does not exist.
        """
        key = keys.service_configuration_webhooks(account_sid, chat_service_sid)
        actions = (*items.update_actions(change), Set("account_sid", account_sid))
        # Check that the service exists. Without this check, an update could create the item again after the service was
        # deleted.
        try:
            self.table.transact([service_still_exists(account_sid, chat_service_sid), Update(key, actions)])
        except TransactionCanceledError as canceled:
            raise NotFoundError from canceled
        return self.fetch(account_sid, chat_service_sid)


def to_service_configuration_webhooks(
    account_sid: str, chat_service_sid: str, stored: Item | None
) -> ServiceConfigurationWebhooks:
    """Convert an item to a configuration. If there is no item, return the default configuration."""
    sids = {"account_sid": account_sid, "chat_service_sid": chat_service_sid}
    return items.to_resource(ServiceConfigurationWebhooks, {**(stored or {}), **sids})
