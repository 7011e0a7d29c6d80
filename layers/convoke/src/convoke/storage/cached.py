"""A cache for items that every request reads and that rarely change.

See docs/behaviour/requests-and-answers.md#cached-reads and docs/decisions/0064-caches-for-tolerant-readers.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

Found = TypeVar("Found")

CACHE_LIFETIME_SECONDS = 5.0
"""The time in seconds for which a cached result is used.

During this time, a process can miss a change that another process made, such as the revocation of an API key.
"""

MAX_CACHE_ENTRIES = 10_000


class _Entry(NamedTuple, Generic[Found]):
    found: Found
    expires_at: float
    """The end of the lifetime of the result, by the monotonic clock."""


class Cached(Generic[Found]):
    """Calls `fetch` and caches each result for `lifetime` seconds.

    The arguments of the call are the key of the cached result. The result None is not cached, so that a new account is
    found immediately.
    """

    def __init__(self, fetch: Callable[..., Found | None], lifetime: float = CACHE_LIFETIME_SECONDS) -> None:
        self._fetch = fetch
        self._lifetime = lifetime
        self._entries: dict[tuple[str, ...], _Entry[Found]] = {}
        """The cached results, in the order in which they expire."""
        self._lock = Lock()
        """The lock of every write. Reading one entry of a dict needs no lock."""

    def __call__(self, *key: str) -> Found | None:
        entry = self._entries.get(key)
        if entry is not None and time.monotonic() < entry.expires_at:
            return entry.found
        # `fetch` is called without the lock. Two threads that look up the same uncached key both call `fetch`.
        found = self._fetch(*key)
        if found is not None:
            self._store(key, found)
        return found

    def forget(self, *key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _store(self, key: tuple[str, ...], found: Found) -> None:
        """Store a result, and remove the results that have expired or that are too many."""
        now = time.monotonic()
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(found, now + self._lifetime)
            while (first := next(iter(self._entries))) != key and (
                len(self._entries) > MAX_CACHE_ENTRIES or self._entries[first].expires_at <= now
            ):
                del self._entries[first]
