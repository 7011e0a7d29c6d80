"""ISO 8601 durations. Clients write the lengths of timers in this format.

See docs/behaviour/states-and-timers.md#durations.
"""

from __future__ import annotations

import re
from datetime import timedelta

MAX_DURATION = timedelta(days=36_500)
"""The maximum length of a timer: about a century.

A much longer timer could end after the year 9999. `datetime` cannot represent such an end.
"""

_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)"

_FORM = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
"""Matches the durations that Convoke accepts."""


def parse_duration(text: str) -> timedelta:
    """Return the length of an ISO 8601 duration.

    Raise ValueError if the text is malformed, or if the duration is longer than `MAX_DURATION`. A text with years or
    months is malformed, because the length of a year or a month varies.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("no duration of weeks, days, hours, minutes and seconds")
    weeks, days, hours, minutes, seconds = (float(number.replace(",", ".")) for number in found.groups("0"))
    try:
        duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise ValueError("a duration out of range") from error
    if duration > MAX_DURATION:
        raise ValueError("a duration out of range")
    return duration


def format_duration(length: timedelta) -> str:
    """Return the duration as a text that `parse_duration` accepts, such as `PT1M` or `P1DT2H`."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06}".rstrip("0.")
    date = f"{length.days}D" if length.days else ""
    units = ((hours, "", "H"), (minutes, "", "M"), (seconds, fraction, "S"))
    time = "".join(f"{number}{rest}{unit}" for number, rest, unit in units if number or rest)
    return f"P{date}{f'T{time}' if time else ''}" if date or time else "P0D"
