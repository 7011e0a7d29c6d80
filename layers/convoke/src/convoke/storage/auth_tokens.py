"""Auth Tokens. They are stored in plain text, because they sign webhooks as well as authenticate requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from convoke.storage import keys
from convoke.storage.cached import Cached
from convoke.storage.table import Put, Table


class AuthTokens(Protocol):
    """The store of Auth Tokens: Secrets Manager on AWS, the table on one machine."""

    def fetch(self, account_sid: str) -> str | None: ...

    def put(self, account_sid: str, token: str) -> None: ...


@dataclass(frozen=True, slots=True)
class AuthTokenTable:
    """Auth Tokens in the table, for the embedded engine: a reader of its data file owns everything in it anyway."""

    table: Table

    def fetch(self, account_sid: str) -> str | None:
        stored = self.table.get(keys.auth_token(account_sid))
        return str(stored["auth_token"]) if stored else None

    def put(self, account_sid: str, token: str) -> None:
        key = keys.auth_token(account_sid)
        self.table.transact([Put({"pk": key.pk, "sk": key.sk, "auth_token": token})])


class CachedAuthTokens:
    """AuthTokens with a cache. `put` invalidates the entry, so a rotated token is effective at once in this process."""

    def __init__(self, auth_tokens: AuthTokens) -> None:
        self._auth_tokens = auth_tokens
        self.fetch = Cached(auth_tokens.fetch)

    def put(self, account_sid: str, token: str) -> None:
        self._auth_tokens.put(account_sid, token)
        self.fetch.forget(account_sid)
