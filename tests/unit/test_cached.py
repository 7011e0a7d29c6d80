"""The cache keeps items that every request needs (storage/cached.py)."""

from __future__ import annotations

import time

from convoke.storage.cached import Cached, CachedWithMisses


class Source:
    """A function that fetches an item, and counts its calls."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], str] = {}
        self.calls = 0

    def __call__(self, *key: str) -> str | None:
        self.calls += 1
        return self.values.get(key)


def test_found_value_is_fetched_once_for_each_key() -> None:
    source = Source()
    source.values = {("a", "1"): "one", ("a", "2"): "two"}
    cached = Cached(source)
    assert [cached("a", "1"), cached("a", "2"), cached("a", "1")] == ["one", "two", "one"]
    assert source.calls == 2


def test_missing_value_is_not_cached() -> None:
    source = Source()
    cached = Cached(source)
    assert cached("a") is None
    source.values["a",] = "one"
    assert cached("a") == "one"


def test_forgotten_value_is_fetched_again() -> None:
    source = Source()
    source.values["a",] = "old"
    cached = Cached(source)
    cached("a")
    source.values["a",] = "new"
    assert cached("a") == "old"
    cached.forget("a")
    cached.forget("never fetched")
    assert cached("a") == "new"


def test_value_is_fetched_again_after_its_lifetime() -> None:
    source = Source()
    source.values["a",] = "old"
    cached = Cached(source, lifetime=0.01)
    cached("a")
    source.values["a",] = "new"
    time.sleep(0.02)
    assert cached("a") == "new"


def test_missing_value_is_fetched_once_if_misses_are_cached() -> None:
    source = Source()
    cached = CachedWithMisses(source)
    assert [cached("a"), cached("a"), cached("b")] == [None, None, None]
    assert source.calls == 2


def test_forgotten_miss_is_fetched_again() -> None:
    source = Source()
    cached = CachedWithMisses(source)
    assert cached("a") is None
    source.values["a",] = "one"
    assert cached("a") is None
    cached.forget("a")
    assert cached("a") == "one"
    cached.clear()
    source.values.clear()
    assert cached("a") is None
