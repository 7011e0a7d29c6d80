"""A cache keeps results that many requests need, so that not every request reads them (storage/cached.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convoke.storage import cached as module
from convoke.storage.cached import Cached, CachedWithMisses
from tests.support.clocks import Clocks

LIFETIME = 5.0


class Source:
    """Fetches values and counts the calls."""

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


def fetched_after(change: Callable[[Clocks], object], lifetime: float = LIFETIME) -> str | None:
    """Cache the value `old`, call `change`, and return the value that the cache returns after the change.

    The result is `new` if the cache fetches the value a second time. Otherwise the result is `old`.
    """
    source, clocks = Source(), Clocks()
    source.values["a",] = "old"
    cached = Cached(source, lifetime, clocks.read)
    cached("a")
    source.values["a",] = "new"
    change(clocks)
    return cached("a")


@pytest.mark.parametrize(("seconds", "expected"), [(0, "old"), (LIFETIME - 0.01, "old"), (LIFETIME, "new")])
def test_value_is_fetched_again_after_its_lifetime(seconds: float, expected: str) -> None:
    assert fetched_after(lambda clocks: clocks.run(seconds)) == expected


def test_value_is_fetched_again_after_a_freeze_that_stopped_the_monotonic_clock() -> None:
    assert fetched_after(lambda clocks: clocks.freeze(LIFETIME)) == "new"


@pytest.mark.parametrize("step", [0.01, 3600])
def test_value_is_fetched_again_after_the_wall_clock_went_back(step: float) -> None:
    assert fetched_after(lambda clocks: clocks.step_back(step)) == "new"


def test_value_is_fetched_again_after_its_lifetime_although_the_wall_clock_went_back_meanwhile() -> None:
    def change(clocks: Clocks) -> None:
        clocks.run(LIFETIME)
        clocks.step_back(LIFETIME / 2)

    assert fetched_after(change) == "new"


def test_age_of_a_value_counts_from_the_start_of_its_fetch() -> None:
    """A freeze of the Lambda environment during a fetch can make the fetched value too old."""
    clocks, answers = Clocks(), ["old", "new"]

    def fetch(_: str) -> str:
        clocks.freeze(LIFETIME)
        return answers.pop(0)

    cached = Cached(fetch, LIFETIME, clocks.read)
    assert [cached("a"), cached("a")] == ["old", "new"]


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


def test_old_values_are_removed_when_a_value_is_stored() -> None:
    source, clocks = Source(), Clocks()
    source.values = {("a",): "1", ("b",): "2"}
    cached = Cached(source, LIFETIME, clocks.read)
    cached("a")
    clocks.run(LIFETIME)
    cached("b")
    assert list(cached._entries) == [("b",)]


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
