"""ISO 8601 durations. Clients write the lengths of timers in this format.

See docs/behaviour/states-and-timers.md#durations.
"""

from __future__ import annotations

import re
from datetime import timedelta

import isodate

MAX_DURATION = timedelta(days=36_500)
"""About a century. With a much longer timer, the end could be after the year 9999. `datetime` has no later date."""

_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"

_FORM = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
"""The durations that Convoke accepts.

isodate also accepts durations that Convoke must refuse: `PT`, `P1DT`, signs, and zero years or months such as `P0Y`.
"""


def parse_duration(text: str) -> timedelta:
    """Return the length of an ISO 8601 duration.

    Raise ValueError if the text is malformed, or if the duration is longer than `MAX_DURATION`. Years and months are
    not accepted, because their length varies.
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
    """Return a duration that `parse_duration` can read, such as `PT1M` or `P1DT2H`."""
    text: str = isodate.duration_isoformat(length)
    return text
