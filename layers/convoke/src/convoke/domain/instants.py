"""Moments in UTC, and the two ways they are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer

Clock = Callable[[], datetime]
"""Answers the present moment, in UTC and whole milliseconds."""

Sleep = Callable[[float], None]
"""Comes back after so many seconds."""


def now() -> datetime:
    """The present moment of this machine."""
    return truncate_to_milliseconds(datetime.now(UTC))


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """What is kept of a moment."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@lru_cache(maxsize=16)
def to_milliseconds(moment: datetime) -> str:
    """`2026-01-02T03:04:05.678Z`: webhooks, streams and stored items. Sorts by time (reference, f.4).

    Of the dozens of moments that a request writes most are the same.
    """
    return _utc(moment).isoformat(timespec="milliseconds")[:23] + "Z"


def to_seconds(moment: datetime) -> str:
    """`2026-01-02T03:04:05Z`: REST bodies. A fraction would make the Python SDK return a string (reference, a.0)."""
    return _utc(moment).isoformat(timespec="seconds")[:19] + "Z"


def _utc(moment: datetime) -> datetime:
    """Nearly every moment is in UTC already."""
    return moment.astimezone(UTC) if moment.utcoffset() else moment


Instant = Annotated[AwareDatetime, PlainSerializer(to_milliseconds, when_used="json")]
"""A moment as the models of the domain hold it."""
