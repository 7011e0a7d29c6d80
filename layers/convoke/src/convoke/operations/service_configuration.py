"""Fetch and update the Configuration of a service. The record of the service contains the Configuration."""

from __future__ import annotations

from convoke.domain.errors import NotFoundError, refusal
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.services import ServiceOperations
from convoke.storage.roles import RoleRepository
from convoke.storage.services import CachedServices


@lean_dataclass
class ServiceConfigurationOperations:
    services: ServiceOperations
    repository: CachedServices
    roles: RoleRepository

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service:
        """Return the service. Raises NotFoundError if the service does not exist or belongs to another account."""
        return self.services.fetch(account_sid, chat_service_sid)

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationChange) -> Service:
        """Store the given fields and return the service.

        Raises NotFoundError if the service does not exist, or if another request deletes the service or a given role at
        the same time. Raises another error if a given role does not exist in the service or has the wrong type.
        """
        service = self.fetch(account_sid, chat_service_sid)
        if problems := change.problems(self.roles.types(service, change.role_sids)):
            raise refusal(problems)
        if not change.model_fields_set:
            return service
        updated = self.repository.update(service, change)
        if updated is None:
            raise NotFoundError
        return updated
