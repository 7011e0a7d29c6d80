"""Store the roles of a service. The four default roles are not stored, because they are computed from the service."""

from __future__ import annotations

from collections.abc import Iterable

from convoke.domain.pages import Page, PageRequest
from convoke.domain.roles import Role, RoleType, default_roles
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import page_of_query
from convoke.storage.services import names_no_other_roles
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Exists,
    Key,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)


@lean_dataclass
class RoleRepository:
    table: Table

    def create(self, role: Role) -> None:
        self.table.transact([Put(items.to_item(_key(role), role))])

    def fetch(self, service: Service, sid: str) -> Role | None:
        """Return the role that has the given SID. The method reads the table only if the role is not a default role."""
        if default := next((role for role in default_roles(service) if role.sid == sid), None):
            return default
        stored = self.table.get(keys.role(service.account_sid, service.sid, sid))
        return items.to_resource(Role, stored) if stored else None

    def fetch_many(self, service: Service, sids: Iterable[str]) -> dict[str, Role]:
        """Map SIDs to roles. The result contains the default roles, and every other existing role in `sids`.

        If all roles in `sids` are default roles, the table is not read. Otherwise the table is read once.
        """
        found = {role.sid: role for role in default_roles(service)}
        unknown = [keys.role(service.account_sid, service.sid, sid) for sid in {*sids} - found.keys()]
        stored = self.table.get_many(unknown).values() if unknown else ()
        return found | {role.sid: role for role in (items.to_resource(Role, item) for item in stored)}

    def types(self, service: Service, sids: Iterable[str]) -> dict[str, RoleType]:
        """Return the types of the roles that `fetch_many` returns. The keys are the SIDs of the roles."""
        return {sid: role.type for sid, role in self.fetch_many(service, sids).items()}

    def list(self, service: Service, page: PageRequest) -> Page[Role]:
        """Return a page of the roles of a service, including the default roles, ordered by SID.

        SIDs sort by creation time. The default roles come first, because they are as old as the service.
        """
        position = page.position and keys.role(service.account_sid, service.sid, page.position)
        stored = self.table.query(
            keys.role(service.account_sid, service.sid, "").pk,
            between=keys.roles(),
            after=position._asdict() if position else None,
            forward=page.forward,
            limit=page.size + 1,
            consistent=True,
        )
        roles = [*(items.to_resource(Role, item) for item in stored), *_defaults_after(service, page)]
        roles.sort(key=lambda role: role.sid, reverse=not page.forward)
        return page_of_query(roles[: page.size], page, more=len(roles) > page.size)

    def update(self, role: Role) -> bool:
        """Store the permissions and the date of update of a changed role. Returns False if the role was deleted."""
        changed = role.model_dump(mode="json", include={"permissions", "date_updated"})
        actions = tuple(Set(name, value) for name, value in changed.items())
        try:
            self.table.update(Update(_key(role), actions, Exists("pk")))
        except ConditionFailedError:
            return False
        return True

    def delete(self, service: Service, role: Role) -> bool:
        """Delete a role. The configuration of `service` must not refer to the role.

        Returns False if the role or the service was deleted, or if the roles in the configuration changed after
        `service` was read.
        """
        try:
            self.table.transact([names_no_other_roles(service), Delete(_key(role), Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True


def _key(role: Role) -> Key:
    return keys.role(role.account_sid, role.chat_service_sid, role.sid)


def _defaults_after(service: Service, page: PageRequest) -> Iterable[Role]:
    """Return the default roles that come after the position of the page, in the direction of the page."""
    position = page.position
    if position is None:
        return default_roles(service)
    return [role for role in default_roles(service) if (role.sid > position) is page.forward and role.sid != position]
