"""Store the push credentials of an account, without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from convoke.domain.credentials import Credential
from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import query_page
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Exists,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
    Value,
)


@lean_dataclass
class CredentialRepository:
    table: Table

    def create(self, credential: Credential) -> None:
        key = keys.credential(credential.account_sid, credential.sid)
        self.table.transact([Put(items.to_item(key, credential))])

    def fetch(self, account_sid: str, sid: str) -> Credential | None:
        stored = self.table.get(keys.credential(account_sid, sid))
        return items.to_resource(Credential, stored) if stored else None

    def list(self, account_sid: str, page: PageRequest) -> Page[Credential]:
        position = keys.credential(account_sid, page.position) if page.position else None
        return query_page(Credential, self.table, account_sid, keys.credentials(), page, position)

    def update(self, credential: Credential, changed: Mapping[str, Value], at: datetime) -> Credential | None:
        """Store the fields in `changed` and the date of update `at`, and return the credential.

        Returns None if the credential was deleted.
        """
        actions = (*(Set(name, value) for name, value in changed.items()), Set("date_updated", to_milliseconds(at)))
        key = keys.credential(credential.account_sid, credential.sid)
        try:
            return items.to_resource(Credential, self.table.update(Update(key, actions, Exists("pk"))))
        except ConditionFailedError:
            return None

    def delete(self, account_sid: str, sid: str) -> bool:
        """Delete a credential. Returns False if the credential does not exist."""
        try:
            self.table.transact([Delete(keys.credential(account_sid, sid), Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True
