"""Store the notification configuration of a service. The first update creates the item."""

from __future__ import annotations

from convoke.domain.errors import NotFoundError
from convoke.domain.service_configuration_notifications import (
    ServiceConfigurationNotifications,
    ServiceConfigurationNotificationsChange,
)
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.services import service_still_exists
from convoke.storage.table import Table, TransactionCanceledError, Update


@lean_dataclass
class ServiceConfigurationNotificationsRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationNotifications:
        """Return the configuration of a service. If no configuration is stored, return the default configuration."""
        stored = self.table.get(keys.service_configuration_notifications(account_sid, chat_service_sid)) or {}
        sids = {"account_sid": account_sid, "chat_service_sid": chat_service_sid}
        return items.to_resource(ServiceConfigurationNotifications, {**stored, **sids})

    def update(
        self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationNotificationsChange
    ) -> ServiceConfigurationNotifications:
        """Store the fields that `change` sets, and return the new configuration.

        Raises NotFoundError if the service does not exist. `change` must set at least one field, because DynamoDB
        refuses an update without actions.
        """
        key = keys.service_configuration_notifications(account_sid, chat_service_sid)
        # Check that the service exists. Without this check, an update could create the item again after the service was
        # deleted.
        writes = [service_still_exists(account_sid, chat_service_sid), Update(key, tuple(items.update_actions(change)))]
        try:
            self.table.transact(writes)
        except TransactionCanceledError as canceled:
            raise NotFoundError from canceled
        return self.fetch(account_sid, chat_service_sid)
