"""The API parses the `Prefer` header of RFC 7240 (api/preferences.py)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.api.preferences import MAX_PREFERRED_WAIT_SECONDS, preferred_wait


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=0", 0),
        ("wait=7", 7),
        ("wait=007", 7),
        ("wait=20", 20),
        ("wait=21", 20),
        ("wait=" + "9" * 5000, 20),
        ('wait="7"', 7),
        ("WAIT = 7", 7),
        ("respond-async, wait=7", 7),
        ("wait=7,respond-async", 7),
        ("wait=7; foo=bar", 7),
        ('handling=lenient; note="a, wait=3, b", wait=7', 7),
        ('note="a \\", wait=3, b", wait=7', 7),
        (",, wait=7", 7),
        ("wait=7, wait=9", 7),
    ],
)
def test_wait_preference_is_read_from_the_prefer_header(prefer: str, seconds: int) -> None:
    assert preferred_wait({"prefer": prefer}) == seconds


@pytest.mark.parametrize(
    "prefer",
    [
        *("", "wait", "wait=", "wait=soon", "wait=-1", "wait=+1", "wait=1.5", "wait=1_0", "wait=\u0667", "wait=7s"),
        *("wait 7", "await=7", "waits=7", 'note="wait=7"', "note=a; wait=7", "wait=soon, wait=7", 'wait="7'),
    ],
)
def test_malformed_or_unknown_preference_is_ignored(prefer: str) -> None:
    assert preferred_wait({"prefer": prefer}) is None


def test_missing_prefer_header_gives_no_preference() -> None:
    assert preferred_wait({}) is None


@pytest.mark.parametrize("piece", ['"', '\\"', '"\\', ",", "wait=", "a;", "\\", " "])
def test_very_long_prefer_header_is_parsed_within_a_second(piece: str) -> None:
    begun = time.process_time()
    preferred_wait({"prefer": '"' + piece * 32_768})
    assert time.process_time() - begun < 1


@given(st.text(alphabet='wait=07 ,;"\\'))
def test_any_prefer_header_is_parsed_without_raising(prefer: str) -> None:
    assert preferred_wait({"prefer": prefer}) in (None, *range(MAX_PREFERRED_WAIT_SECONDS + 1))
