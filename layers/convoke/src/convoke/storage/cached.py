"""A cache for items that every request reads and that rarely change.

See docs/behaviour/requests-and-answers.md#cached-reads and docs/decisions/0064-caches-for-tolerant-readers.md.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import TTLCache

Found = TypeVar("Found")

CACHE_LIFETIME_SECONDS = 5.0
"""The time in seconds for which a cached result is used.

During this time, a process can miss a change that another process made, such as the revocation of an API key.
"""

MAX_CACHE_ENTRIES = 10_000


class Cached(Generic[Found]):
    """Calls `fetch` and caches each result for `lifetime` seconds.

    The arguments of the call are the key of the cached result. The result None is not cached, so that a new account is
    found immediately.
    """

    def __init__(self, fetch: Callable[..., Found | None], lifetime: float = CACHE_LIFETIME_SECONDS) -> None:
        self._fetch = fetch
        self._found: TTLCache[tuple[str, ...], Found] = TTLCache(maxsize=MAX_CACHE_ENTRIES, ttl=lifetime)
        self._lock = Lock()

    def __call__(self, *key: str) -> Found | None:
        # TTLCache is not thread-safe, so the lock guards each access. `fetch` is called without the lock. Two threads
        # that look up the same uncached key therefore both call `fetch`.
        with self._lock:
            found = self._found.get(key)
        if found is None and (found := self._fetch(*key)) is not None:
            self.remember(found, *key)
        return found

    def remember(self, found: Found, *key: str) -> None:
        """Cache a result that the caller knows without a call of `fetch`."""
        with self._lock:
            self._found[key] = found

    def forget(self, *key: str) -> None:
        with self._lock:
            self._found.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
