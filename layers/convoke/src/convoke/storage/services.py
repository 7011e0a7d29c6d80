"""Services."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.paging import page_of
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
        self.table.transact([Put(items.item(keys.service(service.account_sid, service.sid), service))])

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None:
        stored = self.table.get(keys.service(account_sid, chat_service_sid))
        return items.resource(Service, stored) if stored else None

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationChange) -> Service | None:
        """Change what was given, at the least one thing; None where the service is not there any more."""
        key, actions = keys.service(account_sid, chat_service_sid), tuple(items.given(change))
        try:
            updated = self.table.update(Update(key, actions, Exists("pk")))
        except ConditionFailedError:
            return None
        return items.resource(Service, updated)

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        """Remove it with its webhooks; False where it is gone, or the account's default service is another one.

        With its webhooks. The account is written only to see that it has the default service it is thought to.
        """
        default = "default_chat_service_sid"
        unchanged = Update(
            keys.account(account_sid), (Set(default, default_service_sid),), Equals(default, default_service_sid)
        )
        gone = Delete(keys.service(account_sid, chat_service_sid), Exists("pk"))
        webhooks = Delete(keys.service_configuration_webhooks(account_sid, chat_service_sid))
        try:
            self.table.transact([unchanged, gone, webhooks])
        except TransactionCanceledError:
            return False
        return True

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        position = keys.service(account_sid, page.position) if page.position else None
        return page_of(Service, self.table, account_sid, keys.services(), page, position)


class CachedServices:
    """A ServiceRepository whose `fetch` is cached. Changes made through this object are visible in it at once."""

    def __init__(self, services: ServiceRepository) -> None:
        self.stored = services
        """Without the cache, for readers that must not see old data."""
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
    """A write that changes nothing, and fails a transaction where the service is deleted."""
    return Update(keys.service(account_sid, chat_service_sid), (Set("sid", chat_service_sid),), Exists("pk"))
