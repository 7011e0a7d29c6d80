"""Store the services of an account."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.paging import query_page
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Equals,
    Exists,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)


@dataclass(frozen=True, slots=True)
class ServiceRepository:
    table: Table

    def create(self, service: Service) -> None:
        self.table.transact([Put(items.to_item(keys.service(service.account_sid, service.sid), service))])

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None:
        stored = self.table.get(keys.service(account_sid, chat_service_sid))
        return items.to_resource(Service, stored) if stored else None

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationChange) -> Service | None:
        """Store the given fields and return the service. Returns None if the service does not exist.

        `change` must set at least one field, because DynamoDB refuses an update without actions.
        """
        key, actions = keys.service(account_sid, chat_service_sid), tuple(items.update_actions(change))
        try:
            updated = self.table.update(Update(key, actions, Exists("pk")))
        except ConditionFailedError:
            return None
        return items.to_resource(Service, updated)

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        """Delete a service, its webhook configuration and its notification configuration.

        Returns False if the service does not exist, or if `default_service_sid` is not the default service of the
        account.
        """
        # This update sets the attribute to the value that the attribute already has. Only the condition of the update
        # matters. The condition ensures that no other request makes this service the default at the same time. An
        # update is necessary, because the Table port cannot check a condition without a write.
        attribute = "default_chat_service_sid"
        same_default = Update(
            keys.account(account_sid), (Set(attribute, default_service_sid),), Equals(attribute, default_service_sid)
        )
        service = Delete(keys.service(account_sid, chat_service_sid), Exists("pk"))
        webhooks = Delete(keys.service_configuration_webhooks(account_sid, chat_service_sid))
        notifications = Delete(keys.service_configuration_notifications(account_sid, chat_service_sid))
        try:
            self.table.transact([same_default, service, webhooks, notifications])
        except TransactionCanceledError:
            return False
        return True

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        position = keys.service(account_sid, page.position) if page.position else None
        return query_page(Service, self.table, account_sid, keys.services(), page, position)


class CachedServices:
    """A ServiceRepository with a cache for `fetch`.

    `update` and `delete` remove the service from the cache, so this process sees the change immediately.
    """

    def __init__(self, services: ServiceRepository) -> None:
        self.stored = services
        """The repository without a cache, for callers that must not get old data."""
        self.create = services.create
        self.list = services.list
        self.fetch = Cached(services.fetch)

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationChange) -> Service | None:
        updated = self.stored.update(account_sid, chat_service_sid, change)
        self.fetch.forget(account_sid, chat_service_sid)
        return updated

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        deleted = self.stored.delete(account_sid, chat_service_sid, default_service_sid)
        self.fetch.forget(account_sid, chat_service_sid)
        return deleted


def service_still_exists(account_sid: str, chat_service_sid: str) -> Update:
    """Return a write that cancels a transaction if the service does not exist.

    The write sets an attribute to the value that the attribute already has, so the service does not change. A write is
    necessary, because the Table port cannot check a condition without a write. This write costs as many write units as
    any other update.
    """
    return Update(keys.service(account_sid, chat_service_sid), (Set("sid", chat_service_sid),), Exists("pk"))
