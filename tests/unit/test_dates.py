"""The API parses dates in requests (domain/dates.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convoke.domain.dates import date_validator, parse_date
from convoke.domain.errors import ConversationsError, InvalidDateCreatedError, InvalidDateUpdatedError

NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-01T00:00:00Z", NEW_YEAR),
        ("2020-01-01T00:00:00+00:00", NEW_YEAR),
        ("2020-01-01T00:00:00-00:00", NEW_YEAR),
        ("2020-01-01T02:00:00+02:00", NEW_YEAR),
        ("2019-12-31T18:30:00-05:30", NEW_YEAR),
        ("2020-01-01T00:00:00", NEW_YEAR),
        ("2020-01-01 00:00:00Z", NEW_YEAR),
        ("2020-01-01T00:00Z", NEW_YEAR),
        ("20200101T000000Z", NEW_YEAR),
        ("2020-W01-3T00:00:00Z", NEW_YEAR),
        ("2020-01-01T00:00:00.5Z", NEW_YEAR + timedelta(milliseconds=500)),
        ("2020-01-01T00:00:00,5Z", NEW_YEAR + timedelta(milliseconds=500)),
        ("2020-01-01T00:00:00.678999Z", NEW_YEAR + timedelta(milliseconds=678)),
        ("2020-01-01T00:00:00.678999999Z", NEW_YEAR + timedelta(milliseconds=678)),
        ("2020-02-29T00:00:00Z", datetime(2020, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    ],
)
def test_date_with_time_is_parsed_to_utc_in_whole_milliseconds(text: str, expected: datetime) -> None:
    read = parse_date(text)
    assert read == expected
    assert read.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2020-01-01t00:00:00z", "2020-01-01T00:00:00z", "2020-01-01t00:00:00Z"])
def test_rfc_3339_date_with_lower_case_letters_is_accepted(text: str) -> None:
    assert parse_date(text) == NEW_YEAR


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "T",
        "2020-01-01",
        "20200101",
        "2020-01",
        "2020",
        "00:00:00Z",
        "T00:00:00Z",
        "yesterday",
        "1577836800",
        "null",
        "Wed, 01 Jan 2020 00:00:00 GMT",
        "2020-01-01T",
        "2020-01-01 ",
        "2020-01-01T00:00:00Zulu",
        " 2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z ",
        "2020-01-01T00:00:00Z\n",
        "2020-13-01T00:00:00Z",
        "2020-02-30T00:00:00Z",
        "2021-02-29T00:00:00Z",
        "2020-01-01T25:00:00Z",
        "2020-01-01T00:60:00Z",
        "2020-01-01T00:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "\u0662\u0660\u0662\u0660-01-01T00:00:00Z",
    ],
)
def test_malformed_date_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_date(text)


@settings(deadline=None)
@given(st.text())
@example("\ud800T")
@example("2020-01-01T00:00:00\x00")
def test_any_text_is_parsed_as_a_date_or_raises_value_error(text: str) -> None:
    try:
        read = parse_date(text)
    except ValueError:
        return
    assert read.utcoffset() == timedelta(0)
    assert read.microsecond % 1000 == 0


@settings(deadline=None)
@given(st.datetimes(), st.integers(-23 * 60, 23 * 60))
def test_any_date_with_an_offset_is_parsed_unless_out_of_range(moment: datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    text = f"{moment.isoformat()}{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    try:
        read = parse_date(text)
    except ValueError:
        assert moment.year in (1, 9999)
        return
    shift = moment.replace(tzinfo=UTC) - timedelta(minutes=minutes) - read
    assert timedelta(0) <= shift < timedelta(milliseconds=1)


@pytest.mark.parametrize("error", [InvalidDateCreatedError, InvalidDateUpdatedError])
@pytest.mark.parametrize("value", ["2020-01-01", "", 1577836800, 1.5, True, None, [], {}])
def test_date_validator_raises_the_error_of_its_parameter(error: type[ConversationsError], value: object) -> None:
    with pytest.raises(error):
        date_validator(error)(value)


def test_date_validator_returns_the_parsed_date() -> None:
    assert date_validator(InvalidDateCreatedError)("2020-01-01T00:00:00Z") == NEW_YEAR
