"""Accounts."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.accounts import Account, AccountChange
from convoke.domain.configuration import ConfigurationChange, unknown_default_service
from convoke.domain.services import Service
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.services import service_still_exists
from convoke.storage.table import Exists, NotExists, Put, Table, TransactionCanceledError, Update

MAX_LISTED_ACCOUNTS = 1000
"""Listed at the most: more than one machine or one deployment has."""


@dataclass(frozen=True, slots=True)
class AccountRepository:
    table: Table

    def create(self, account: Account, service: Service) -> bool:
        """Store a new account with its default service; False where its SID is taken."""
        writes = [
            Put(items.item(keys.account(account.sid), account), NotExists("pk")),
            Put(items.item(keys.account_entry(account.sid), account)),
            Put(items.item(keys.service(account.sid, service.sid), service)),
        ]
        try:
            self.table.transact(writes)
        except TransactionCanceledError:
            return False
        return True

    def fetch(self, account_sid: str) -> Account | None:
        stored = self.table.get(keys.account(account_sid))
        return items.resource(Account, stored) if stored else None

    def update(self, account_sid: str, change: AccountChange) -> Account:
        """Change what was given of an account that exists, and leave the rest, whatever else is changed meanwhile.

        Raises InvalidParameterError for a default service that is not there.

        The operator's list shows the defaults and nothing else, so its entry changes with the former.
        """
        actions = tuple(items.given(change))
        own = Update(keys.account(account_sid), actions, Exists("pk"))
        if not isinstance(change, ConfigurationChange):
            return items.resource(Account, self.table.update(own))
        entry = Update(keys.account_entry(account_sid), actions, Exists("pk"))
        self._write_defaults(own, entry, change.default_chat_service_sid)
        return items.resource(Account, self.table.get(own.key) or {})

    def _write_defaults(self, own: Update, entry: Update, chat_service_sid: str | None) -> None:
        """Together with a look at the service, so that it is not deleted meanwhile."""
        looked_at = [service_still_exists(own.key.pk, chat_service_sid)] if chat_service_sid else []
        try:
            self.table.transact([own, entry, *looked_at])
        except TransactionCanceledError as canceled:
            if set(canceled.failed) == {2}:
                raise unknown_default_service() from canceled
            raise

    def list(self) -> list[Account]:
        """Every account of the deployment, oldest first."""
        stored = self.table.query(keys.accounts(), limit=MAX_LISTED_ACCOUNTS, consistent=True)
        return sorted((items.resource(Account, item) for item in stored), key=lambda account: account.date_created)


class CachedAccounts:
    """An AccountRepository that remembers for a while what it fetched; what is changed here is known here at once."""

    def __init__(self, accounts: AccountRepository) -> None:
        self._accounts = accounts
        self.create = accounts.create
        self.list = accounts.list
        self.fetch = Cached(accounts.fetch)

    def update(self, account_sid: str, change: AccountChange) -> Account:
        updated = self._accounts.update(account_sid, change)
        self.fetch.forget(account_sid)
        return updated
