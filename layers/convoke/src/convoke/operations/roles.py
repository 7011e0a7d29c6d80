"""Create, fetch, list, update and delete roles."""

from __future__ import annotations

from convoke.domain.errors import ConflictError, NotFoundError, UnavailableError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.roles import NewRole, Role, RoleChange, default_roles
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.roles import RoleRepository
from convoke.storage.services import ServiceRepository


@lean_dataclass
class RoleOperations:
    roles: RoleRepository
    services: ServiceRepository
    now: Clock
    new_sid: NewSid

    def create(self, service: Service, requested: NewRole) -> Role:
        role = requested.role(service, self.new_sid(Prefix.ROLE), self.now())
        self.roles.create(role)
        return role

    def fetch(self, service: Service, sid: str) -> Role:
        """Return a role. Raises NotFoundError if the service has no such role."""
        known = parse_sid(sid, Prefix.ROLE)
        found = known and self.roles.fetch(service, known)
        if not found:
            raise NotFoundError
        return found

    def list(self, service: Service, page: PageRequest) -> Page[Role]:
        return self.roles.list(service, page)

    def update(self, service: Service, sid: str, requested: RoleChange) -> Role:
        """Replace the permissions of a role.

        Raises NotFoundError if the service has no such role. Raises ConflictError for a default role. Raises
        UnknownPermissionError if the request contains a permission that roles of this type cannot have.
        """
        role = self._fetch_stored(service, sid)
        updated = requested.applied_to(role, self.now())
        if not self.roles.update(updated):
            raise NotFoundError
        return updated

    def delete(self, service: Service, sid: str) -> None:
        """Delete a role.

        Raises NotFoundError if the role or the service does not exist. Raises ConflictError for a default role, and for
        a role to which the configuration of the service refers. Raises UnavailableError if, meanwhile, another request
        deletes the role or the service, or changes the configuration.
        """
        role = self._fetch_stored(service, sid)
        # Read without the cache, because a cached configuration might not contain a recent reference to the role.
        current = self.services.fetch(service.account_sid, service.sid)
        if current is None:
            raise NotFoundError
        if role.sid in current.configured_role_sids:
            raise ConflictError(reason="configured_role")
        if not self.roles.delete(current, role):
            raise UnavailableError

    def _fetch_stored(self, service: Service, sid: str) -> Role:
        role = self.fetch(service, sid)
        if role in default_roles(service):
            raise ConflictError(reason="default_role")
        return role
