"""Accounts and, on the embedded engine, their Auth Tokens."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.accounts import Account, AccountChange
from convoke.domain.services import Service
from convoke.operations.ports import AccountRepository, AuthTokens
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.table import Exists, NotExists, Put, Set, Table, TransactionCanceledError, Update

MOST_ACCOUNTS = 1000
"""Listed at the most: more than one machine or one deployment has."""


@dataclass(frozen=True, slots=True)
class AccountTable:
    table: Table

    def create(self, account: Account, service: Service) -> bool:
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
        """The operator's list shows nothing that can be changed, so its entry stays as it is."""
        given = change.model_dump(mode="json", exclude_unset=True)
        actions = tuple(Set(name, value) for name, value in given.items())
        return items.resource(Account, self.table.update(Update(keys.account(account_sid), actions, Exists("pk"))))

    def list(self) -> list[Account]:
        stored = self.table.query(keys.accounts(), limit=MOST_ACCOUNTS, consistent=True)
        return sorted((items.resource(Account, item) for item in stored), key=lambda account: account.date_created)


@dataclass(frozen=True, slots=True)
class AuthTokenTable:
    """Tokens in the table itself: for one machine, where whoever reads the data file is its owner."""

    table: Table

    def fetch(self, account_sid: str) -> str | None:
        stored = self.table.get(keys.auth_token(account_sid))
        return str(stored["auth_token"]) if stored else None

    def put(self, account_sid: str, token: str) -> None:
        key = keys.auth_token(account_sid)
        self.table.transact([Put({"pk": key.pk, "sk": key.sk, "auth_token": token})])


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


class CachedAuthTokens:
    """AuthTokens that are remembered for a while; one that is put here is known here at once."""

    def __init__(self, auth_tokens: AuthTokens) -> None:
        self._auth_tokens = auth_tokens
        self.fetch = Cached(auth_tokens.fetch)

    def put(self, account_sid: str, token: str) -> None:
        self._auth_tokens.put(account_sid, token)
        self.fetch.forget(account_sid)
