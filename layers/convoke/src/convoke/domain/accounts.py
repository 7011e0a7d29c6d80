"""Accounts: whom everything belongs to."""

from __future__ import annotations

from convoke.domain.instants import Instant
from convoke.domain.model import Model


class Account(Model):
    """An account with the defaults that its short paths act on (reference, a.7). Its Auth Token is kept apart."""

    sid: str
    date_created: Instant
    default_chat_service_sid: str
    default_messaging_service_sid: str | None = None
    owned_addresses: frozenset[str] = frozenset()
    """The proxy and projected addresses that it may use; if there are none, every well-formed one (reference, b.2)."""

    def owns(self, address: str) -> bool:
        return not self.owned_addresses or address in self.owned_addresses
