"""Read the clock, and format moments in UTC.

The REST resources of Twilio's API show whole seconds. Webhooks, chat clients and stored items get milliseconds, and so
do most REST resources that only Convoke has.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer

Clock = Callable[[], datetime]
"""A function that returns the current time in UTC, truncated to milliseconds."""

Sleep = Callable[[float], None]
"""A function that blocks the caller for a number of seconds."""


def now() -> datetime:
    """Return the current time of this machine."""
    return truncate_to_milliseconds(datetime.now(UTC))


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """Return a moment truncated to milliseconds, which is the precision that Convoke stores."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@lru_cache(maxsize=16)
def to_milliseconds(moment: datetime) -> str:
    """Format a moment with milliseconds, as `2026-01-02T03:04:05.678Z`.

    These texts sort by time. See docs/behaviour/requests-and-answers.md#dates.
    """
    # The results are cached, because a single request formats the same few moments dozens of times.
    return _utc(moment).isoformat(timespec="milliseconds")[:23] + "Z"


def to_seconds(moment: datetime) -> str:
    """Format a moment as `2026-01-02T03:04:05Z`, for Twilio's REST resources.

    These resources show no fractions of a second, because Twilio's Python SDK cannot parse fractions.
    """
    return _utc(moment).isoformat(timespec="seconds")[:19] + "Z"


def to_rfc_2822(moment: datetime) -> str:
    """Format a moment as `Fri, 02 Jan 2026 03:04:05 +0000`, for the API keys, as in Twilio's API `2010-04-01`."""
    # The names are English, because Convoke never sets a locale.
    return _utc(moment).strftime("%a, %d %b %Y %H:%M:%S +0000")


def _utc(moment: datetime) -> datetime:
    # `astimezone` is slow. Most moments are already in UTC and do not need the call.
    return moment.astimezone(UTC) if moment.utcoffset() else moment


Instant = Annotated[AwareDatetime, PlainSerializer(to_milliseconds, when_used="json")]
"""The type of a moment in a model. JSON contains the moment with milliseconds."""
