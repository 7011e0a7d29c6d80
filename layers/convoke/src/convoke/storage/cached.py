"""What every request asks for and hardly ever changes, kept for some seconds (promise 2)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import TTLCache

Found = TypeVar("Found")

CACHE_LIFETIME_SECONDS = 5.0
"""Seconds that another process's change, such as a revoked API key, may go unnoticed."""

MAX_CACHE_ENTRIES = 10_000


class Cached(Generic[Found]):
    """Remembers for some seconds what `fetch` found under each key. That nothing was found is not remembered."""

    def __init__(self, fetch: Callable[..., Found | None], lifetime: float = CACHE_LIFETIME_SECONDS) -> None:
        self._fetch = fetch
        self._found: TTLCache[tuple[str, ...], Found] = TTLCache(maxsize=MAX_CACHE_ENTRIES, ttl=lifetime)
        self._lock = Lock()

    def __call__(self, *key: str) -> Found | None:
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
        """Forget everything: some of it may come from writes that were dropped."""
        with self._lock:
            self._found.clear()
