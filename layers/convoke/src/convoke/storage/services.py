"""Services."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.services import Service
from convoke.operations.ports import ServiceRepository
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.paging import page_of
from convoke.storage.table import Put, Table


@dataclass(frozen=True, slots=True)
class ServiceTable:
    table: Table

    def create(self, service: Service) -> None:
        self.table.transact([Put(items.item(keys.service(service.account_sid, service.sid), service))])

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None:
        stored = self.table.get(keys.service(account_sid, chat_service_sid))
        return items.resource(Service, stored) if stored else None

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        position = keys.service(account_sid, page.position) if page.position else None
        return page_of(Service, self.table, account_sid, keys.services(), page, position)


class CachedServices:
    """A ServiceRepository that remembers for a while what it fetched."""

    def __init__(self, services: ServiceRepository) -> None:
        self.create = services.create
        self.list = services.list
        self.fetch = Cached(services.fetch)
