"""Store Auth Tokens. A hash is not enough, because Convoke signs webhooks with the Auth Token."""

from __future__ import annotations

from typing import Protocol

from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.cached import CachedWithMisses
from convoke.storage.table import Put, Table


class AuthTokens(Protocol):
    """The port for the store of Auth Tokens.

    On AWS, the store is Secrets Manager. On one machine, the store is the table.
    """

    def fetch(self, account_sid: str) -> str | None: ...

    def put(self, account_sid: str, token: str) -> None: ...


@lean_dataclass
class AuthTokenTable:
    """Stores Auth Tokens in the table of the embedded engine.

    A separate store would not protect the tokens better. A person who can read the data file can read all data anyway.
    """

    table: Table

    def fetch(self, account_sid: str) -> str | None:
        stored = self.table.get(keys.auth_token(account_sid))
        return str(stored["auth_token"]) if stored else None

    def put(self, account_sid: str, token: str) -> None:
        key = keys.auth_token(account_sid)
        self.table.transact([Put({"pk": key.pk, "sk": key.sk, "auth_token": token})])


class CachedAuthTokens:
    """Implements AuthTokens with a cache for `fetch`.

    The cache also contains the result None for an account without a token. `put` removes the account from the cache, so
    that this process uses the new token immediately.
    """

    def __init__(self, auth_tokens: AuthTokens) -> None:
        self._auth_tokens = auth_tokens
        self.fetch = CachedWithMisses(auth_tokens.fetch)

    def put(self, account_sid: str, token: str) -> None:
        self._auth_tokens.put(account_sid, token)
        self.fetch.forget(account_sid)
