"""A list can be restricted by a start date and an end date (domain/date_filters.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from convoke.domain.date_filters import Period
from convoke.domain.errors import ConversationsError, EndDateBeforeStartDateError, InvalidParameterError

DAY = datetime(2026, 1, 2, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def period(start: str | None = None, end: str | None = None) -> Period:
    given = {"start_date": start, "end_date": end}
    return Period.model_validate({name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize(
    ("start", "expected"),
    [("2026-01-02", DAY), ("2026-01-02T00:00:00Z", DAY), ("2026-01-02T01:00:00.5+01:00", DAY + 500 * MILLISECOND)],
)
def test_start_date_without_a_time_is_the_first_moment_of_the_day(start: str, expected: datetime) -> None:
    assert period(start=start).start_date == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2026-01-02", DAY + timedelta(days=1) - MILLISECOND),
        ("2026-01-02T00:00:00Z", DAY + timedelta(seconds=1) - MILLISECOND),
        ("2026-01-02T00:00:00.001Z", DAY + MILLISECOND),
        ("9999-12-31", datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)),
    ],
)
def test_end_date_includes_its_whole_day_or_second(end: str, expected: datetime) -> None:
    assert period(end=end).end_date == expected


def test_omitted_dates_leave_the_period_open() -> None:
    assert (period().start_date, period().end_date) == (None, None)


@pytest.mark.parametrize("end", ["2026-01-02", "2026-01-02T00:00:00Z"])
def test_period_may_start_and_end_on_the_same_day(end: str) -> None:
    assert period("2026-01-02", end).start_date == DAY


def problem(start: str | None, end: str | None) -> type[ConversationsError]:
    with pytest.raises(ValidationError) as caught:
        period(start, end)
    return type(caught.value.errors()[0]["ctx"]["error"])


def test_end_date_before_the_start_date_is_rejected() -> None:
    assert problem("2026-01-03", "2026-01-02") is EndDateBeforeStartDateError
    assert problem("2026-01-02T00:00:01Z", "2026-01-02T00:00:00Z") is EndDateBeforeStartDateError


@pytest.mark.parametrize("text", ["", "yesterday", "2026-1-2", "2026-01", "20260102", "2026-02-30"])
def test_malformed_start_or_end_date_is_rejected(text: str) -> None:
    assert problem(text, None) is InvalidParameterError
    assert problem(None, text) is InvalidParameterError
