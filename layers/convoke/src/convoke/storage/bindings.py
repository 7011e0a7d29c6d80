"""Fetch, list and delete the stored bindings of a service. A binding is a device for push notifications."""

from __future__ import annotations

from convoke.domain.bindings import Binding, BindingFilters
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import query_filtered_page, query_page
from convoke.storage.table import Delete, Exists, Table, TransactionCanceledError


@lean_dataclass
class BindingRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str, sid: str) -> Binding | None:
        stored = self.table.get(keys.binding(account_sid, chat_service_sid, sid))
        return items.to_resource(Binding, stored) if stored else None

    def list(
        self, account_sid: str, chat_service_sid: str, filters: BindingFilters, page: PageRequest
    ) -> Page[Binding]:
        """Return a page of the bindings of a service that match `filters`, ordered by SID."""
        partition = keys.binding_partition(account_sid, chat_service_sid)
        position = keys.binding(account_sid, chat_service_sid, page.position) if page.position else None
        if filters.select_all:
            return query_page(Binding, self.table, partition, keys.bindings(), page, position)
        return query_filtered_page(Binding, self.table, partition, keys.bindings(), page, position, filters.match)

    def delete(self, account_sid: str, chat_service_sid: str, sid: str) -> bool:
        """Delete a binding. Returns False if the binding does not exist."""
        try:
            self.table.transact([Delete(keys.binding(account_sid, chat_service_sid, sid), Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True
