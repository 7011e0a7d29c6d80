"""Caches for results that many requests need and that rarely change.

See docs/behaviour/requests-and-answers.md#cached-reads and docs/decisions/0064-caches-for-tolerant-readers.md.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from convoke.domain.freshness import ClockReading, ReadClocks, read_clocks

Found = TypeVar("Found")

CACHE_LIFETIME_SECONDS = 5.0
"""The time in seconds for which a cached result is used.

During this time, a process can miss a change that another process made, such as the revocation of an API key.
"""

MAX_CACHE_ENTRIES = 10_000


class _Entry(NamedTuple, Generic[Found]):
    found: Found
    read_at: ClockReading
    """The time at which the fetch started, because the result may be as old as the start of the fetch.

    For a result that was passed to `remember`, the time at which `remember` was called.
    """


class Cached(Generic[Found]):
    """Calls `fetch` and caches each result for `lifetime` seconds.

    The arguments of the call are the key of the cached result. The result None is not cached, so that an account or a
    service is found immediately after its creation.
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
        self._entries: dict[tuple[str, ...], _Entry[Found]] = {}
        """The cached results, oldest first."""
        self._lock = Lock()
        """Each method that changes `_entries` holds this lock. Reading one entry of a dict needs no lock."""

    def __call__(self, *key: str) -> Found | None:
        now = self._read_clocks()
        entry = self._entries.get(key)
        if entry is not None and entry.read_at.is_fresh(now, self._lifetime):
            return entry.found
        # `fetch` is called without the lock, so two threads that look up the same key may both call `fetch`.
        found = self._fetch(*key)
        if found is not None:
            self._store(key, _Entry(found, now))
        return found

    def remember(self, found: Found, *key: str) -> None:
        """Cache a result that the caller already knows. `fetch` is not called."""
        self._store(key, _Entry(found, self._read_clocks()))

    def forget(self, *key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _store(self, key: tuple[str, ...], entry: _Entry[Found]) -> None:
        """Store a result, and remove old results.

        A result is old if it is no longer fresh. If there are more than MAX_CACHE_ENTRIES results, the oldest are
        removed too.
        """
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = entry
            while (first := next(iter(self._entries))) != key and (
                len(self._entries) > MAX_CACHE_ENTRIES
                or not self._entries[first].read_at.is_fresh(entry.read_at, self._lifetime)
            ):
                del self._entries[first]


class CachedWithMisses(Generic[Found]):
    """Calls `fetch` and caches each result for CACHE_LIFETIME_SECONDS. Unlike `Cached`, also caches the result None.

    A client can repeat a request with an invented Account SID or API key. Without the cached None, each such request
    would cause a fetch. A process that creates an account or an API key must call `forget`. Otherwise the cached None
    would hide the account or the API key.
    """

    def __init__(self, fetch: Callable[..., Found | None]) -> None:
        self._results: Cached[tuple[Found | None]] = Cached(lambda *key: (fetch(*key),))
        self.forget = self._results.forget
        self.clear = self._results.clear

    def __call__(self, *key: str) -> Found | None:
        result = self._results(*key)
        return result[0] if result else None
