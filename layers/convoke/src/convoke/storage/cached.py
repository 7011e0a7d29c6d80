"""A cache for items that every request reads and that rarely change.

See docs/behaviour/requests-and-answers.md#cached-reads and docs/decisions/0064-caches-for-tolerant-readers.md.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

from convoke.domain.freshness import ClockReading, ReadClocks, read_clocks

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

    def __init__(
        self,
        fetch: Callable[..., Found | None],
        lifetime: float = CACHE_LIFETIME_SECONDS,
        read_clocks: ReadClocks = read_clocks,
    ) -> None:
        self._fetch = fetch
        self._lifetime = lifetime
        self._read_clocks = read_clocks
        self._found: LRUCache[tuple[str, ...], tuple[Found, ClockReading]] = LRUCache(MAX_CACHE_ENTRIES)
        self._lock = Lock()

    def __call__(self, *key: str) -> Found | None:
        # LRUCache is not thread-safe, so the lock guards each access. `fetch` is called without the lock. Two threads
        # that look up the same uncached key therefore both call `fetch`.
        now = self._read_clocks()
        with self._lock:
            entry = self._found.get(key)
        if entry and entry[1].is_fresh(now, self._lifetime):
            return entry[0]
        found = self._fetch(*key)
        if found is not None:
            with self._lock:
                self._found[key] = found, now
        return found

    def forget(self, *key: str) -> None:
        with self._lock:
            self._found.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
