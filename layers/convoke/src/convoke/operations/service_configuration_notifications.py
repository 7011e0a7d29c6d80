"""Fetch and update the notification configuration of a service. The caller must check that the service exists."""

from __future__ import annotations

from convoke.domain.service_configuration_notifications import (
    ServiceConfigurationNotifications,
    ServiceConfigurationNotificationsChange,
)
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.service_configuration_notifications import ServiceConfigurationNotificationsRepository


@lean_dataclass
class ServiceConfigurationNotificationsOperations:
    configurations: ServiceConfigurationNotificationsRepository

    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceConfigurationNotifications:
        return self.configurations.fetch(account_sid, chat_service_sid)

    def update(
        self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationNotificationsChange
    ) -> ServiceConfigurationNotifications:
        """Store the given fields and return the new configuration.

        Raises NotFoundError if the service was deleted in the meantime.
        """
        if not change.model_fields_set:
            return self.fetch(account_sid, chat_service_sid)
        return self.configurations.update(account_sid, chat_service_sid, change)
