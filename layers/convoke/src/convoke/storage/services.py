"""Services."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.services import Service, ServiceChange
from convoke.operations.ports import ServiceRepository
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
class ServiceTable:
    table: Table

    def create(self, service: Service) -> None:
        self.table.transact([Put(items.item(keys.service(service.account_sid, service.sid), service))])

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None:
        stored = self.table.get(keys.service(account_sid, chat_service_sid))
        return items.resource(Service, stored) if stored else None

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceChange) -> Service | None:
        key, actions = keys.service(account_sid, chat_service_sid), tuple(items.given(change))
        try:
            updated = self.table.update(Update(key, actions, Exists("pk")))
        except ConditionFailedError:
            return None
        return items.resource(Service, updated)

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        """With its webhooks. The account is written only to see that it has the default service it is thought to."""
        default = "default_chat_service_sid"
        unchanged = Update(
            keys.account(account_sid), (Set(default, default_service_sid),), Equals(default, default_service_sid)
        )
        gone = Delete(keys.service(account_sid, chat_service_sid), Exists("pk"))
        webhooks = Delete(keys.service_webhook_configuration(account_sid, chat_service_sid))
        try:
            self.table.transact([unchanged, gone, webhooks])
        except TransactionCanceledError:
            return False
        return True

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        position = keys.service(account_sid, page.position) if page.position else None
        return page_of(Service, self.table, account_sid, keys.services(), page, position)


class CachedServices:
    """A ServiceRepository that remembers for a while what it fetched; what is changed here is known here at once."""

    def __init__(self, services: ServiceRepository) -> None:
        self._services = services
        self.create = services.create
        self.list = services.list
        self.fetch = Cached(services.fetch)

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceChange) -> Service | None:
        updated = self._services.update(account_sid, chat_service_sid, change)
        self.fetch.forget(account_sid, chat_service_sid)
        return updated

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        deleted = self._services.delete(account_sid, chat_service_sid, default_service_sid)
        self.fetch.forget(account_sid, chat_service_sid)
        return deleted


def still_there(account_sid: str, chat_service_sid: str) -> Update:
    """A write that changes nothing, and fails a transaction where the service is deleted."""
    return Update(keys.service(account_sid, chat_service_sid), (Set("sid", chat_service_sid),), Exists("pk"))
