"""The cache keeps items that every request needs (storage/cached.py)."""

from __future__ import annotations

import time

import pytest

from convoke.storage import cached as module
from convoke.storage.cached import Cached


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


def test_oldest_values_are_removed_when_the_cache_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHE_ENTRIES", 2)
    source = Source()
    source.values = {("a",): "1", ("b",): "2", ("c",): "3"}
    cached = Cached(source)
    for key in ("a", "b", "c", "c", "b"):
        cached(key)
    assert source.calls == 3
    cached("a")
    assert source.calls == 4


def test_expired_values_are_removed_when_a_value_is_stored() -> None:
    source = Source()
    source.values = {("a",): "1", ("b",): "2"}
    cached = Cached(source, lifetime=0.01)
    cached("a")
    time.sleep(0.02)
    cached("b")
    assert list(cached._entries) == [("b",)]
