"""Store the one-time codes for links to the console."""

from __future__ import annotations

from datetime import datetime

from convoke.domain.console_codes import ConsoleCode
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import MAX_WRITES, Delete, Exists, Put, Table, TransactionCanceledError, key_of


@lean_dataclass
class ConsoleCodeRepository:
    table: Table

    def create(self, code: ConsoleCode, code_hash: str) -> None:
        self.table.transact([Put(items.to_item(keys.console_code(code.account_sid, code_hash), code))])

    def take(self, account_sid: str, code_hash: str, now: datetime) -> bool:
        """Delete a code that has not expired. Return False if the code does not exist or has expired.

        If several callers take the same code, only one caller gets True.
        """
        key = keys.console_code(account_sid, code_hash)
        stored = self.table.get(key)
        if stored is None or now >= items.to_resource(ConsoleCode, stored).date_expires:
            return False
        try:
            self.table.transact([Delete(key, Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True

    def delete_expired(self, account_sid: str, now: datetime) -> None:
        """Delete the expired codes of an account. One call reads at most `MAX_WRITES` codes."""
        stored = self.table.query(account_sid, between=keys.console_codes(), limit=MAX_WRITES, consistent=True)
        expired = [each for each in stored if now >= items.to_resource(ConsoleCode, each).date_expires]
        if expired:
            self.table.transact([Delete(key_of(each)) for each in expired])
