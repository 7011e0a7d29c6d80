"""Convoke writes points in time in two text formats (domain/instants.py)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from convoke.domain.instants import Instant, now, to_milliseconds, to_seconds

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)

MOMENTS = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("moment", "seconds", "milliseconds"),
    [
        (datetime(2015, 12, 16, 22, 18, 37, tzinfo=UTC), "2015-12-16T22:18:37Z", "2015-12-16T22:18:37.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.999Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        (datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC), "0999-12-31T23:59:59Z", "0999-12-31T23:59:59.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z"),
        (
            datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2025-12-31T18:45:00Z",
            "2025-12-31T18:45:00.000Z",
        ),
        (
            datetime(2025, 12, 31, 23, 0, tzinfo=timezone(timedelta(hours=-3))),
            "2026-01-01T02:00:00Z",
            "2026-01-01T02:00:00.000Z",
        ),
    ],
)
def test_instant_is_formatted_in_utc_and_truncated(moment: datetime, seconds: str, milliseconds: str) -> None:
    assert to_seconds(moment) == seconds
    assert to_milliseconds(moment) == milliseconds


@settings(deadline=None)
@given(MOMENTS)
def test_both_instant_formats_have_a_fixed_length(moment: datetime) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", to_seconds(moment))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", to_milliseconds(moment))


@settings(deadline=None)
@given(MOMENTS, MOMENTS)
def test_instants_in_milliseconds_sort_by_time(first: datetime, second: datetime) -> None:
    earlier, later = sorted((first, second))
    assert to_milliseconds(earlier) <= to_milliseconds(later)


@settings(deadline=None)
@given(MOMENTS)
def test_stored_instant_is_read_back_to_the_millisecond(moment: datetime) -> None:
    stored = INSTANT.dump_python(moment, mode="json")
    assert stored == to_milliseconds(moment)
    read = INSTANT.validate_python(stored)
    assert read.utcoffset() == timedelta(0)
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


def test_instant_without_an_offset_is_rejected() -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python("2026-01-02T03:04:05")


def test_now_is_in_utc_and_whole_milliseconds() -> None:
    before = datetime.now(UTC)
    moment = now()
    assert moment.utcoffset() == timedelta(0)
    assert moment.microsecond % 1000 == 0
    assert before - timedelta(milliseconds=1) < moment <= datetime.now(UTC)
