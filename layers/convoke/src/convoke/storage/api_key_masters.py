"""Store the master secrets, from which the secrets of API keys are derived.

See docs/decisions/0108-secrets-of-api-keys-are-derived.md.
"""

from __future__ import annotations

from typing import Protocol

from convoke.domain.api_keys import Master, Masters
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import Equals, NotExists, Put, Table, TransactionCanceledError


class ApiKeyMasters(Protocol):
    """The port for the store of the master secrets.

    On AWS, the store is one secret in Secrets Manager. On one machine, the store is the table.
    """

    def fetch(self) -> Masters | None: ...

    def put(self, before: Masters | None, after: Masters) -> bool:
        """Store the master secrets `after` if the stored master secrets are still `before`.

        `before` is None if no master secrets are stored. Returns False if another process has changed the master
        secrets, and then stores nothing. On AWS, `before` is not checked and the result is always True, because only
        the command line changes the master secrets there.
        """


@lean_dataclass
class ApiKeyMasterTable:
    """Stores the master secrets in the table of the embedded engine.

    `AuthTokenTable` explains why a separate store for secrets would not be safer.
    """

    table: Table

    def fetch(self) -> Masters | None:
        stored = self.table.get(keys.api_key_masters())
        return items.to_resource(Masters, stored) if stored else None

    def put(self, before: Masters | None, after: Masters) -> bool:
        unchanged = Equals("current", before.current) if before else NotExists("pk")
        try:
            self.table.transact([Put(items.to_item(keys.api_key_masters(), after), unchanged)])
        except TransactionCanceledError:
            return False
        return True


class KnownMasters:
    """Caches the master secrets that this process has read. The secret of a version never changes."""

    def __init__(self, stored: ApiKeyMasters) -> None:
        self._stored = stored
        self._secrets: dict[str, str] = {}

    def secret(self, version: str) -> str | None:
        """Return the master secret with this version, or None if the version does not exist."""
        if version not in self._secrets:
            self._read()
        return self._secrets.get(version)

    def current(self) -> Master:
        """Return the newest version of the master secret. If there is no master secret, create the first version."""
        while (masters := self._read()) is None:
            self._stored.put(None, Masters.first())
        return Master(masters.current, masters.secrets[masters.current])

    def rotate(self) -> Master:
        """Add a version of the master secret, and return the newest version.

        Existing API keys keep the version with which they were created.
        """
        while True:
            before = self._read()
            after = before.rotated() if before else Masters.first()
            if self._stored.put(before, after):
                return self.current()

    def _read(self) -> Masters | None:
        masters = self._stored.fetch()
        self._secrets.update(masters.secrets if masters else {})
        return masters
