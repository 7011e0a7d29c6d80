"""Store API keys. Each API key has two items: the key item and the owner item.

The key item is in the partition of the account, so that the API keys of an account can be listed. The partition key of
the owner item is the SID of the API key, because a request with an API key does not contain the Account SID. Only the
owner item contains the data that Convoke needs to check the secret.
"""

from __future__ import annotations

from collections.abc import Iterator

from convoke.domain.api_keys import ApiKey, ApiKeyOwner
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.cached import CachedWithMisses
from convoke.storage.paging import query_page
from convoke.storage.table import Delete, Exists, Put, Table, TransactionCanceledError

PAGE_SIZE = 100


@lean_dataclass
class ApiKeyRepository:
    table: Table

    def create(self, key: ApiKey, owner: ApiKeyOwner) -> None:
        key_item = items.to_item(keys.api_key(key.account_sid, key.sid), key)
        self.table.transact([Put(key_item), Put(items.to_item(keys.api_key_owner(key.sid), owner))])

    def fetch_owner(self, key_sid: str) -> ApiKeyOwner | None:
        stored = self.table.get(keys.api_key_owner(key_sid))
        return items.to_resource(ApiKeyOwner, stored) if stored else None

    def fetch(self, account_sid: str, key_sid: str) -> ApiKey | None:
        stored = self.table.get(keys.api_key(account_sid, key_sid))
        return items.to_resource(ApiKey, stored) if stored else None

    def page(self, account_sid: str, page: PageRequest) -> Page[ApiKey]:
        """Return a page of the API keys of the account, oldest first."""
        position = keys.api_key(account_sid, page.position) if page.position else None
        return query_page(ApiKey, self.table, account_sid, keys.api_keys(), page, position)

    def update(self, key: ApiKey) -> bool:
        """Store a changed API key. Returns False if the key was deleted."""
        try:
            self.table.transact([Put(items.to_item(keys.api_key(key.account_sid, key.sid), key), Exists("pk"))])
        except TransactionCanceledError:
            return False
        return True

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        """Iterate over all API keys of the account, oldest first.

        Each page is queried only when the iteration reaches the page.
        """
        between, after = keys.api_keys(), None
        while page := self.table.query(account_sid, between=between, after=after, limit=PAGE_SIZE, consistent=True):
            yield from (items.to_resource(ApiKey, stored) for stored in page)
            after = page[-1]

    def delete(self, account_sid: str, key_sid: str) -> None:
        """Delete an API key. Does nothing if the API key does not exist."""
        self.table.transact([Delete(keys.api_key(account_sid, key_sid)), Delete(keys.api_key_owner(key_sid))])


class CachedApiKeys:
    """An ApiKeyRepository with a cache for `fetch_owner`.

    The cache also contains the result None for an API key that does not exist. `create` and `delete` remove the API key
    from the cache, so that their effect in this process is immediate.
    """

    def __init__(self, api_keys: ApiKeyRepository) -> None:
        self._api_keys = api_keys
        self.list = api_keys.list
        self.fetch = api_keys.fetch
        self.page = api_keys.page
        self.update = api_keys.update
        self.fetch_owner = CachedWithMisses(api_keys.fetch_owner)

    def create(self, key: ApiKey, owner: ApiKeyOwner) -> None:
        self._api_keys.create(key, owner)
        self.fetch_owner.forget(key.sid)

    def delete(self, account_sid: str, key_sid: str) -> None:
        self._api_keys.delete(account_sid, key_sid)
        self.fetch_owner.forget(key_sid)
