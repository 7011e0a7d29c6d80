"""The lengths of the inactive timer and the closed timer: minimum lengths and parsing.

`Conversation` in domain/conversations.py starts and ends timers. See docs/behaviour/states-and-timers.md#timers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from convoke.domain.durations import parse_duration
from convoke.domain.errors import (
    ClosedTimerTooShortError,
    ConversationsError,
    InactiveTimerTooShortError,
    InvalidClosedTimerError,
    InvalidInactiveTimerError,
)
from convoke.domain.json_schema import timer_schema
from convoke.domain.model import Model

MINUTE = timedelta(minutes=1)

MIN_INACTIVE_TIMER = timedelta(minutes=1)
MIN_CLOSED_TIMER = timedelta(minutes=10)


class Timers(Model):
    """The lengths of the inactive timer and the closed timer. Zero means that the timer is off.

    Convoke stores the lengths, and not only the ends of the timers, because a new message or an update restarts the
    timers.
    """

    inactive: timedelta = timedelta(0)
    closed: timedelta = timedelta(0)


def parse_inactive_timer(text: str) -> timedelta:
    return _parse_timer(text, MIN_INACTIVE_TIMER, InvalidInactiveTimerError, InactiveTimerTooShortError)


def parse_closed_timer(text: str) -> timedelta:
    return _parse_timer(text, MIN_CLOSED_TIMER, InvalidClosedTimerError, ClosedTimerTooShortError)


def _parse_timer(
    text: str, minimum: timedelta, invalid: type[ConversationsError], too_short: type[ConversationsError]
) -> timedelta:
    """Return the length of a timer. Zero means that the timer is off.

    Raise `invalid` if the text is not a duration. Raise `too_short` if the length is not zero but is shorter than
    `minimum`.
    """
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise invalid from error
    if timedelta(0) < length < minimum:
        raise too_short
    return length


InactiveTimer = Annotated[
    timedelta, BeforeValidator(parse_inactive_timer), timer_schema(f"PT{MIN_INACTIVE_TIMER // MINUTE}M")
]
ClosedTimer = Annotated[
    timedelta, BeforeValidator(parse_closed_timer), timer_schema(f"PT{MIN_CLOSED_TIMER // MINUTE}M")
]
