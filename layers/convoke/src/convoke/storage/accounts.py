"""Store accounts, and the operator's list of all accounts of the deployment.

One partition of the table contains the list, with a copy of each account. An update of the owned addresses or of the
error-log URL changes the account, but not its copy in the list.
"""

from __future__ import annotations

from convoke.domain.accounts import Account, AccountChange
from convoke.domain.configuration import ConfigurationChange, unknown_default_service
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.services import service_still_exists
from convoke.storage.table import Exists, NotExists, Put, Table, TransactionCanceledError, Update

MAX_LISTED_ACCOUNTS = 1000
"""The maximum number of accounts that `list` returns. No deployment is expected to have more accounts."""


@lean_dataclass
class AccountRepository:
    table: Table

    def create(self, account: Account, service: Service) -> bool:
        """Store a new account and its default service. Returns False if an account with this SID exists."""
        writes = [
            Put(items.to_item(keys.account(account.sid), account), NotExists("pk")),
            Put(items.to_item(keys.account_entry(account.sid), account)),
            Put(items.to_item(keys.service(account.sid, service.sid), service)),
        ]
        try:
            self.table.transact(writes)
        except TransactionCanceledError:
            return False
        return True

    def fetch(self, account_sid: str) -> Account | None:
        stored = self.table.get(keys.account(account_sid))
        return items.to_resource(Account, stored) if stored else None

    def update(self, account_sid: str, change: AccountChange) -> Account:
        """Update the fields that `change` sets, and return the updated account.

        The account must exist. Raises InvalidParameterError if the new default service does not exist.
        """
        actions = tuple(items.update_actions(change))
        account = Update(keys.account(account_sid), actions, Exists("pk"))
        # Only a ConfigurationChange updates the copy in the operator's list, because the list does not show the fields
        # of other changes.
        if not isinstance(change, ConfigurationChange):
            return items.to_resource(Account, self.table.update(account))
        entry = Update(keys.account_entry(account_sid), actions, Exists("pk"))
        self._update_with_entry(account, entry, change.default_chat_service_sid)
        # A transaction does not return the new items, so read the account again.
        return items.to_resource(Account, self.table.get(account.key) or {})

    def _update_with_entry(self, account: Update, entry: Update, chat_service_sid: str | None) -> None:
        # Check in the same transaction that the new default service exists, because another request could delete the
        # service at the same time.
        service = [service_still_exists(account.key.pk, chat_service_sid)] if chat_service_sid else []
        try:
            self.table.transact([account, entry, *service])
        except TransactionCanceledError as canceled:
            # The write at position 2 checks that the service exists. If only this write failed, the service does not
            # exist.
            if set(canceled.failed) == {2}:
                raise unknown_default_service() from canceled
            raise

    def list(self) -> list[Account]:
        """Return the accounts of the deployment, oldest first.

        If there are more than MAX_LISTED_ACCOUNTS accounts, return only this number of accounts: the accounts with the
        least SIDs.
        """
        stored = self.table.query(keys.account_directory(), limit=MAX_LISTED_ACCOUNTS, consistent=True)
        return sorted((items.to_resource(Account, item) for item in stored), key=lambda account: account.date_created)


class CachedAccounts:
    """An AccountRepository with a cache for `fetch`.

    `update` removes the account from the cache, so this process sees the updated account immediately.
    """

    def __init__(self, accounts: AccountRepository) -> None:
        self._accounts = accounts
        self.create = accounts.create
        self.list = accounts.list
        self.fetch = Cached(accounts.fetch)

    def update(self, account_sid: str, change: AccountChange) -> Account:
        updated = self._accounts.update(account_sid, change)
        self.fetch.forget(account_sid)
        return updated
