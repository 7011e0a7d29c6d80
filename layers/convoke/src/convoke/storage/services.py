"""Store the services of an account."""

from __future__ import annotations

from convoke.domain.pages import Page, PageRequest
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import DeletedService, Service
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.paging import query_page
from convoke.storage.table import (
    And,
    Delete,
    Equals,
    Exists,
    NotExists,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)


@lean_dataclass
class ServiceRepository:
    table: Table

    def create(self, service: Service) -> None:
        self.table.transact([Put(items.to_item(keys.service(service.account_sid, service.sid), service))])

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None:
        stored = self.table.get(keys.service(account_sid, chat_service_sid))
        return items.to_resource(Service, stored) if stored else None

    def update(self, service: Service, change: ServiceConfigurationChange) -> Service | None:
        """Store the fields that `change` sets, and return the service.

        Returns None if the service or a role in `change` does not exist. The default roles always exist. `change` must
        set at least one field, because DynamoDB refuses an update without actions.
        """
        key, actions = keys.service(service.account_sid, service.sid), tuple(items.update_actions(change))
        # Without the conditions below, another request could delete a role at the same time. The Table port cannot
        # check a condition without a write. Therefore each write sets an attribute to its current value.
        roles_still_exist = [
            Update(keys.role(service.account_sid, service.sid, sid), (Set("sid", sid),), Exists("pk"))
            for sid in sorted(change.role_sids - service.role_sids)
        ]
        try:
            self.table.transact([Update(key, actions, Exists("pk")), *roles_still_exist])
        except TransactionCanceledError:
            return None
        return self.fetch(service.account_sid, service.sid)

    def delete(self, deleted: DeletedService, default_service_sid: str) -> bool:
        """Replace a service with its tombstone. The sweeper later removes everything that belongs to the service.

        Returns False if the service does not exist, or if `default_service_sid` is not the default service of the
        account.
        """
        account_sid, chat_service_sid = deleted.service.account_sid, deleted.service.sid
        # The condition of this update ensures that no other request makes this service the default at the same time.
        # The Table port cannot check a condition without a write. Therefore the update sets the attribute to its
        # current value.
        attribute = "default_chat_service_sid"
        same_default = Update(
            keys.account(account_sid), (Set(attribute, default_service_sid),), Equals(attribute, default_service_sid)
        )
        service = Delete(keys.service(account_sid, chat_service_sid), Exists("pk"))
        try:
            self.table.transact([same_default, service, Put(items.deleted_service_item(deleted))])
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

    def update(self, service: Service, change: ServiceConfigurationChange) -> Service | None:
        updated = self.stored.update(service, change)
        self.fetch.forget(service.account_sid, service.sid)
        return updated

    def delete(self, deleted: DeletedService, default_service_sid: str) -> bool:
        is_deleted = self.stored.delete(deleted, default_service_sid)
        self.fetch.forget(deleted.service.account_sid, deleted.service.sid)
        return is_deleted


def names_no_other_roles(service: Service) -> Update:
    """Return a write that cancels a transaction if the roles in the configuration of a service have changed.

    `service` is the service that the caller has read. The write also cancels a transaction if the service was deleted.
    The write itself changes nothing. `service_still_exists` explains why a write is necessary.
    """
    names = ("default_conversation_creator_role_sid", "default_conversation_role_sid", "default_chat_service_role_sid")
    unchanged = (Equals(name, sid) if (sid := getattr(service, name)) else NotExists(name) for name in names)
    key = keys.service(service.account_sid, service.sid)
    return Update(key, (Set("sid", service.sid),), And((Exists("pk"), *unchanged)))


def service_still_exists(account_sid: str, chat_service_sid: str) -> Update:
    """Return a write that cancels a transaction if the service does not exist.

    The Table port cannot check a condition without a write. Therefore the write sets an attribute to its current value,
    and the service does not change. This write costs as many write units as any other update.
    """
    return Update(keys.service(account_sid, chat_service_sid), (Set("sid", chat_service_sid),), Exists("pk"))
