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
"""A change made by another process, such as a revoked API key, may go unnoticed for this long."""

MAX_CACHE_ENTRIES = 10_000


class Cached(Generic[Found]):
    """Calls `fetch` and keeps its result for each key for `lifetime` seconds.

    A result of None is not kept: an account that was just created must be found at once.
    """

    def __init__(self, fetch: Callable[..., Found | None], lifetime: float = CACHE_LIFETIME_SECONDS) -> None:
        self._fetch = fetch
        self._found: TTLCache[tuple[str, ...], Found] = TTLCache(maxsize=MAX_CACHE_ENTRIES, ttl=lifetime)
        self._lock = Lock()

    def __call__(self, *key: str) -> Found | None:
        # TTLCache is not safe to use from several threads. Two threads that miss the same key both call `fetch`, which
        # does not hold the lock.
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
