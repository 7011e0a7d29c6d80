"""Fetch, list and delete the bindings of a service."""

from __future__ import annotations

from convoke.domain.bindings import Binding, BindingFilters
from convoke.domain.errors import NotFoundError
from convoke.domain.pages import Page, PageRequest
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.bindings import BindingRepository


@lean_dataclass
class BindingOperations:
    bindings: BindingRepository

    def fetch(self, service: Service, sid: str) -> Binding:
        """Return a binding. Raises NotFoundError if the service has no such binding."""
        known = parse_sid(sid, Prefix.BINDING)
        binding = known and self.bindings.fetch(service.account_sid, service.sid, known)
        if not binding:
            raise NotFoundError
        return binding

    def list(self, service: Service, filters: BindingFilters, page: PageRequest) -> Page[Binding]:
        return self.bindings.list(service.account_sid, service.sid, filters, page)

    def delete(self, service: Service, sid: str) -> None:
        """Delete a binding. Raises NotFoundError if the service has no such binding."""
        known = parse_sid(sid, Prefix.BINDING)
        if not known or not self.bindings.delete(service.account_sid, service.sid, known):
            raise NotFoundError
