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
            with self._lock:
                self._found[key] = found
        return found

    def forget(self, *key: str) -> None:
        with self._lock:
            self._found.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()


class CachedWithMisses(Generic[Found]):
    """Calls `fetch` and caches each result for a short time, also the result None.

    A stranger can repeat a request with an invented Account SID or API key. Without the cached None, each request would
    cost a fetch. A process that creates what is missing calls `forget`, so that this process finds it immediately.
    """

    def __init__(self, fetch: Callable[..., Found | None]) -> None:
        self._results: Cached[tuple[Found | None]] = Cached(lambda *key: (fetch(*key),))
        self.forget = self._results.forget
        self.clear = self._results.clear

    def __call__(self, *key: str) -> Found | None:
        result = self._results(*key)
        return result[0] if result else None
