"""Store the address configurations of an account.

Each configuration has a lock whose key contains the hash of the address. Therefore an address has at most one
configuration in an account, and Convoke can find a configuration by its address.
"""

from __future__ import annotations

from datetime import datetime

from convoke.domain.address_configurations import (
    AddressConfiguration,
    AddressConfigurationChange,
    AddressConfigurationFilters,
)
from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import query_filtered_page, query_page
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Exists,
    NotExists,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)


@lean_dataclass
class AddressConfigurationRepository:
    table: Table

    def create(self, configuration: AddressConfiguration) -> bool:
        """Store a configuration. Returns False if the address already has a configuration."""
        account_sid, sid = configuration.account_sid, configuration.sid
        lock = keys.address_lock(account_sid, configuration.address)
        item = items.to_item(keys.address_configuration(account_sid, sid), configuration)
        try:
            self.table.transact([Put({"pk": lock.pk, "sk": lock.sk, "sid": sid}, NotExists("pk")), Put(item)])
        except TransactionCanceledError:
            return False
        return True

    def fetch(self, account_sid: str, sid: str) -> AddressConfiguration | None:
        stored = self.table.get(keys.address_configuration(account_sid, sid))
        return items.to_resource(AddressConfiguration, stored) if stored else None

    def fetch_by_address(self, account_sid: str, address: str) -> AddressConfiguration | None:
        lock = self.table.get(keys.address_lock(account_sid, address))
        return self.fetch(account_sid, str(lock["sid"])) if lock else None

    def list(
        self, account_sid: str, filters: AddressConfigurationFilters, page: PageRequest
    ) -> Page[AddressConfiguration]:
        """Return a page of the configurations of an account, ordered by SID."""
        between = keys.address_configurations()
        position = keys.address_configuration(account_sid, page.position) if page.position else None
        if filters.type is None:
            return query_page(AddressConfiguration, self.table, account_sid, between, page, position)
        return query_filtered_page(
            AddressConfiguration, self.table, account_sid, between, page, position, filters.match
        )

    def update(
        self, configuration: AddressConfiguration, change: AddressConfigurationChange, at: datetime
    ) -> AddressConfiguration | None:
        """Store the fields that `change` sets, and `at` as `date_updated`.

        Returns the updated configuration, or None if the configuration was deleted.
        """
        key = keys.address_configuration(configuration.account_sid, configuration.sid)
        actions = (*items.update_actions(change), Set("date_updated", to_milliseconds(at)))
        try:
            return items.to_resource(AddressConfiguration, self.table.update(Update(key, actions, Exists("pk"))))
        except ConditionFailedError:
            return None

    def delete(self, configuration: AddressConfiguration) -> bool:
        """Delete a configuration and its lock. Returns False if the configuration was already deleted."""
        # The deletion of the lock needs no condition, because an existing configuration always holds its lock.
        key = keys.address_configuration(configuration.account_sid, configuration.sid)
        lock = keys.address_lock(configuration.account_sid, configuration.address)
        try:
            self.table.transact([Delete(key, Exists("pk")), Delete(lock)])
        except TransactionCanceledError:
            return False
        return True
