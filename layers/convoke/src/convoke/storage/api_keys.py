"""API keys: one item to list a key by, another to recognise it by. Only the latter holds the hash of its secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convoke.domain.api_keys import ApiKey, ApiKeyOwner
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.table import Delete, Put, Table

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class ApiKeyRepository:
    table: Table

    def create(self, key: ApiKey, owner: ApiKeyOwner) -> None:
        listed, recognised = keys.api_key(key.account_sid, key.sid), keys.api_key_owner(key.sid)
        self.table.transact([Put(items.item(listed, key)), Put(items.item(recognised, owner))])

    def fetch_owner(self, key_sid: str) -> ApiKeyOwner | None:
        stored = self.table.get(keys.api_key_owner(key_sid))
        return items.resource(ApiKeyOwner, stored) if stored else None

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        """Every key of the account, oldest first, read page by page as the iteration goes on."""
        between, after = keys.api_keys(), None
        while page := self.table.query(account_sid, between=between, after=after, limit=PAGE_SIZE, consistent=True):
            yield from (items.resource(ApiKey, stored) for stored in page)
            after = page[-1]

    def delete(self, account_sid: str, key_sid: str) -> None:
        """May be said again."""
        self.table.transact([Delete(keys.api_key(account_sid, key_sid)), Delete(keys.api_key_owner(key_sid))])


class CachedApiKeys:
    """An ApiKeyRepository that remembers for a while whose a key is; one that is revoked here is forgotten here."""

    def __init__(self, api_keys: ApiKeyRepository) -> None:
        self._api_keys = api_keys
        self.create = api_keys.create
        self.list = api_keys.list
        self.fetch_owner = Cached(api_keys.fetch_owner)

    def delete(self, account_sid: str, key_sid: str) -> None:
        self._api_keys.delete(account_sid, key_sid)
        self.fetch_owner.forget(key_sid)
