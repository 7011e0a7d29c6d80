"""API keys: one item in the list of its account, and one item that authenticates requests.

A request with an API key does not name its account, so the second item has the key's SID as its partition key. Only the
second item holds the hash of the secret.
"""

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
        key_item = items.to_item(keys.api_key(key.account_sid, key.sid), key)
        self.table.transact([Put(key_item), Put(items.to_item(keys.api_key_owner(key.sid), owner))])

    def fetch_owner(self, key_sid: str) -> ApiKeyOwner | None:
        stored = self.table.get(keys.api_key_owner(key_sid))
        return items.to_resource(ApiKeyOwner, stored) if stored else None

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        """Iterate over all keys of the account, oldest first. Each page is read when the iteration reaches it."""
        between, after = keys.api_keys(), None
        while page := self.table.query(account_sid, between=between, after=after, limit=PAGE_SIZE, consistent=True):
            yield from (items.to_resource(ApiKey, stored) for stored in page)
            after = page[-1]

    def delete(self, account_sid: str, key_sid: str) -> None:
        """Delete a key. Does nothing if the key does not exist."""
        self.table.transact([Delete(keys.api_key(account_sid, key_sid)), Delete(keys.api_key_owner(key_sid))])


class CachedApiKeys:
    """An ApiKeyRepository whose `fetch_owner` is cached. A key deleted through this object is refused at once."""

    def __init__(self, api_keys: ApiKeyRepository) -> None:
        self._api_keys = api_keys
        self.create = api_keys.create
        self.list = api_keys.list
        self.fetch_owner = Cached(api_keys.fetch_owner)

    def delete(self, account_sid: str, key_sid: str) -> None:
        self._api_keys.delete(account_sid, key_sid)
        self.fetch_owner.forget(key_sid)
