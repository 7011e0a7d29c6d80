"""ISO 8601 durations. Clients write the lengths of timers in this format.

See docs/behaviour/states-and-timers.md#durations.
"""

from __future__ import annotations

import re
from datetime import timedelta

import isodate

MAX_DURATION = timedelta(days=36_500)
"""The maximum length of a timer: about a century.

A much longer timer could end after the year 9999. `datetime` cannot represent such an end.
"""

_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"

_FORM = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
"""Matches the durations that Convoke accepts.

isodate also accepts durations that Convoke must refuse. Examples are `PT`, `P1DT`, `-P1D` and `P0Y`.
"""


def parse_duration(text: str) -> timedelta:
    """Return the length of an ISO 8601 duration.

    Raise ValueError if the text is malformed, or if the duration is longer than `MAX_DURATION`. The text must not
    contain years or months, because the length of a year or a month varies.
    """
    if not _FORM.fullmatch(text):
        raise ValueError("no duration of weeks, days, hours, minutes and seconds")
    try:
        duration = isodate.parse_duration(text)
    except (OverflowError, ArithmeticError) as error:
        raise ValueError("a duration out of range") from error
    if not isinstance(duration, timedelta) or duration > MAX_DURATION:
        raise ValueError("a duration out of range")
    return duration


def format_duration(length: timedelta) -> str:
    """Return the duration as a text that `parse_duration` accepts, such as `PT1M` or `P1DT2H`."""
    text: str = isodate.duration_isoformat(length)
    return text
