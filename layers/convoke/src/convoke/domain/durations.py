"""ISO 8601 durations, as timers use them (reference, e.3)."""

from __future__ import annotations

import re
from datetime import timedelta

import isodate

MAX_DURATION = timedelta(days=36_500)
"""A century. Beyond it the moment a timer ends at may not be a date any more."""


_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"

_FORM = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
"""isodate takes more than there is: `PT`, `P1DT`, signs, and years and months if they are zero."""


def parse_duration(text: str) -> timedelta:
    """The length of `text`, `PT0S` included. Raises ValueError for anything else than a length of 0 to a century.

    Years and months are refused: they have no length of their own.
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
    """`PT1M`, `P1DT2H`: what `parse_duration` takes, so without years and months."""
    text: str = isodate.duration_isoformat(length)
    return text
