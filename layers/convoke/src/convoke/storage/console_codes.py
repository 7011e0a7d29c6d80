"""Store the codes in links to the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from convoke.domain.console_codes import ConsoleCode
from convoke.storage import items, keys
from convoke.storage.table import Delete, Exists, Put, Table, TransactionCanceledError


@dataclass(frozen=True, slots=True)
class ConsoleCodeRepository:
    table: Table

    def create(self, code: ConsoleCode, code_hash: str) -> None:
        item = items.to_item(keys.console_code(code.account_sid, code_hash), code)
        self.table.transact([Put(items.with_expiry(item, code.date_expires))])

    def take(self, account_sid: str, code_hash: str, now: datetime) -> bool:
        """Delete a code. Return whether the code existed and had not expired. Only one of several callers gets True."""
        key = keys.console_code(account_sid, code_hash)
        stored = self.table.get(key)
        if stored is None or now >= items.to_resource(ConsoleCode, stored).date_expires:
            return False
        try:
            self.table.transact([Delete(key, Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True
