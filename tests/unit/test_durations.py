"""Timers are ISO 8601 durations (domain/durations.py)."""

from __future__ import annotations

from datetime import timedelta

import isodate
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convoke.domain.durations import MAX_DURATION, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT0S", timedelta(0)),
        ("PT1M", timedelta(minutes=1)),
        ("PT10M", timedelta(minutes=10)),
        ("P1D", timedelta(days=1)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P2W", timedelta(weeks=2)),
        ("PT90S", timedelta(seconds=90)),
        ("PT36H", timedelta(hours=36)),
        ("PT1.5M", timedelta(seconds=90)),
        ("PT1,5M", timedelta(seconds=90)),
        ("PT0.25H", timedelta(minutes=15)),
        ("P0.5D", timedelta(hours=12)),
        ("PT60.5S", timedelta(seconds=60, milliseconds=500)),
        ("PT000060S", timedelta(minutes=1)),
        ("P36500D", MAX_DURATION),
        ("PT876000H", MAX_DURATION),
    ],
)
def test_duration_of_weeks_days_hours_minutes_and_seconds_is_parsed(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("P1Y", "P1M", "P1Y2M", "P1M1D", "P0.5Y", "P0.5M", "P1YT1M", "P0Y", "P0M"),
        *("-PT1M", "P-1D", "PT-1M", "-P1D"),
        *("P36500DT1S", "P36501D", "PT876001H", "P99999999999D", "P" + "9" * 400 + "D", "PT" + "9" * 5000 + "S"),
        *("", " ", "P", "1", "60", "1M", "T1M", "PT1", "P1", "P1H", "PT1D", "PT1S1M", "PTM", "P1DT1D", "PPT1M"),
        *(" PT1M", "PT1M ", "PT 1M", "pt1m", "PT1M;", "PT1MPT1M", "PT1..5M", "PT1e3S", "PTNaNS", "PTInfS", "PT0x10S"),
        *("one minute", "null", "00:01:00", "2020-01-01T00:00:00Z", "P2020-01-01T00:00:00"),
        *("PT\u0661M", "PT\uff11M", "PT1\u041c"),
    ],
)
def test_malformed_or_unsupported_duration_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_duration(text)


@pytest.mark.parametrize("text", ["PT", "P1DT", "PT1M\n", "PT0S\n"])
def test_duration_with_an_empty_time_part_or_a_trailing_newline_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_duration(text)


DURATION_LIKE = st.lists(st.sampled_from(["P", "T", "Y", "M", "W", "D", "H", "S", "-", "+", ".", ",", ":", "0", "19"]))


@settings(deadline=None)
@given(st.one_of(st.text(), DURATION_LIKE.map("".join), DURATION_LIKE.map(lambda parts: "P" + "".join(parts))))
@example("\ud800")
@example("P" + "1" * 10_000 + "D")
@example("PT" + "0" * 10_000 + "S")
@example("P0." + "9" * 10_000 + "D")
@example("P0000-00-00T00:10:00")
@example("P0001-01-01T00:00:00")
def test_any_text_is_a_duration_of_at_most_36500_days_or_raises_value_error(text: str) -> None:
    try:
        length = parse_duration(text)
    except ValueError:
        return
    assert timedelta(0) <= length <= timedelta(days=36_500)


@settings(deadline=None)
@given(st.timedeltas(timedelta(0), MAX_DURATION))
def test_every_duration_in_days_and_seconds_is_parsed_exactly(length: timedelta) -> None:
    assert parse_duration(f"P{length.days}DT{length.seconds}.{length.microseconds:06}S") == length


NUMBERS = st.one_of(st.integers(0, 99).map(str), st.from_regex(r"[0-9]{1,2}[.,][0-9]{1,3}", fullmatch=True))


def units(letters: str) -> st.SearchStrategy[str]:
    """Return a strategy for texts such as `1W2.5D`. Each unit is optional."""
    return st.tuples(*(st.just("") | NUMBERS.map(f"{{}}{letter}".format) for letter in letters)).map("".join)


@given(units("WD"), units("HMS"))
def test_duration_is_parsed_as_isodate_parses_it(date: str, time: str) -> None:
    text = f"P{date}{f'T{time}' if time else ''}"
    if text != "P":
        assert parse_duration(text) == isodate.parse_duration(text)


@given(st.timedeltas(timedelta(0), MAX_DURATION))
@example(timedelta(0))
@example(timedelta(days=1, milliseconds=500))
def test_duration_is_formatted_as_isodate_formats_it(length: timedelta) -> None:
    assert format_duration(length) == isodate.duration_isoformat(length)
