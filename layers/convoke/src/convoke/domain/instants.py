"""Moments in UTC, and their two formats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer

Clock = Callable[[], datetime]
"""Returns the current time in UTC, truncated to milliseconds."""

Sleep = Callable[[float], None]
"""Blocks for a number of seconds."""


def now() -> datetime:
    """Return the current time of this machine."""
    return truncate_to_milliseconds(datetime.now(UTC))


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """Return a moment without its microseconds. Convoke stores milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@lru_cache(maxsize=16)
def to_milliseconds(moment: datetime) -> str:
    """Format a moment as `2026-01-02T03:04:05.678Z`, for webhooks, streams and stored items. The text sorts by time.

    See docs/behaviour/requests-and-answers.md#dates.
    """
    # Cached, because one request formats the same few moments dozens of times.
    return _utc(moment).isoformat(timespec="milliseconds")[:23] + "Z"


def to_seconds(moment: datetime) -> str:
    """Format a moment as `2026-01-02T03:04:05Z`, for REST bodies. The Python SDK cannot parse fractions of a second."""
    return _utc(moment).isoformat(timespec="seconds")[:19] + "Z"


def _utc(moment: datetime) -> datetime:
    # Nearly every moment is in UTC already, and `astimezone` is slow.
    return moment.astimezone(UTC) if moment.utcoffset() else moment


Instant = Annotated[AwareDatetime, PlainSerializer(to_milliseconds, when_used="json")]
"""A moment in a model. Items and events store it with milliseconds."""
