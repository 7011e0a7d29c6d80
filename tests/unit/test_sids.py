"""SIDs have a fixed format, and sort in the order of creation (domain/sids.py)."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from threading import Barrier

import pytest

from convoke.domain.sids import Prefix, SidFactory, is_sid, milliseconds_of

THREADS = 8
SIDS_PER_THREAD = 500

DIGITS = "0123456789abcdef" * 2


def created_by_threads(new_sid: SidFactory) -> list[list[str]]:
    """Create SIDs in concurrent threads. Return one list per thread, in the order of creation."""
    barrier = Barrier(THREADS)

    def make() -> list[str]:
        barrier.wait()
        return [new_sid(Prefix.PARTICIPANT) for _ in range(SIDS_PER_THREAD)]

    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(make) for _ in range(THREADS)]]


@pytest.mark.parametrize("prefix", Prefix)
def test_sid_is_the_prefix_and_32_lower_case_hexadecimal_digits(prefix: Prefix) -> None:
    sid = SidFactory()(prefix)
    assert re.fullmatch(f"{prefix}[0-9a-f]{{32}}", sid)
    assert is_sid(sid, prefix)


def test_every_prefix_is_unique_and_has_two_capital_letters() -> None:
    assert all(re.fullmatch("[A-Z]{2}", prefix) for prefix in Prefix)
    assert len({prefix.value for prefix in Prefix}) == len(Prefix)


def test_sids_sort_strictly_by_creation() -> None:
    new_sid = SidFactory()
    sids = [new_sid(Prefix.CONVERSATION) for _ in range(5000)]
    assert all(earlier < later for earlier, later in pairwise(sids))


def test_sids_of_eight_threads_are_unique_and_sort_within_each_thread() -> None:
    made = created_by_threads(SidFactory())
    for sids in made:
        assert all(earlier < later for earlier, later in pairwise(sids))
    ordered = {sid[:18] for sids in made for sid in sids}
    assert len(ordered) == THREADS * SIDS_PER_THREAD


def test_sid_created_after_all_threads_sorts_last() -> None:
    new_sid = SidFactory()
    latest = max(max(sids) for sids in created_by_threads(new_sid))
    assert new_sid(Prefix.PARTICIPANT) > latest


def test_sid_contains_its_creation_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    sid = SidFactory()(Prefix.CONVERSATION)
    assert before <= int(sid[2:14], 16) <= time.time_ns() // 1_000_000


def test_sids_increase_after_the_clock_is_set_back() -> None:
    new_sid = SidFactory()
    new_sid._last = (time.time_ns() // 1_000_000 + 3_600_000) << 16
    first, second = new_sid(Prefix.CONVERSATION), new_sid(Prefix.CONVERSATION)
    assert f"{new_sid._last - 1:016x}" == first[2:18] < second[2:18]


def test_sids_of_a_batch_contain_the_same_time_even_if_the_clock_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances by one millisecond per reading."""
    moments = count(1_800_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    new_sid = SidFactory()
    earlier, batch, later = (
        new_sid(Prefix.PARTICIPANT),
        new_sid.batch(Prefix.PARTICIPANT, 10),
        new_sid(Prefix.PARTICIPANT),
    )
    assert len({milliseconds_of(sid) for sid in batch}) == 1
    assert all(first < second for first, second in pairwise([earlier, *batch, later]))


def test_different_factories_create_different_sids() -> None:
    factories = [SidFactory() for _ in range(2000)]
    assert len({new_sid(Prefix.CONVERSATION) for new_sid in factories}) == len(factories)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("CH" + DIGITS, True),
        ("CH" + DIGITS.upper(), True),
        ("CH" + DIGITS[:16] + DIGITS[16:].upper(), True),
        ("ch" + DIGITS, False),
        ("Ch" + DIGITS, False),
        ("MB" + DIGITS, False),
        ("CH" + DIGITS[1:], False),
        ("CH" + DIGITS + "0", False),
        ("CH" + DIGITS + "\n", False),
        (" CH" + DIGITS, False),
        ("CH" + "g" + DIGITS[1:], False),
        ("CH" + "\u0660" + DIGITS[1:], False),
        ("CH" + "\uff11" + DIGITS[1:], False),
        ("CH", False),
        ("", False),
    ],
)
def test_is_sid_checks_prefix_length_and_hexadecimal_digits(value: str, expected: bool) -> None:
    assert is_sid(value, Prefix.CONVERSATION) is expected
