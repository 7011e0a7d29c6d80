"""What the fragment of a webhook's URL says of calls to it (reference, d.5)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

TIME_LIMIT = 5.0
"""Seconds that a call may take where its URL says nothing else."""

MAX_TIMEOUT_SECONDS = 15.0

DEFAULT_RETRIES = 3
MAX_RETRIES = 5

BOUNDS = {
    "rc": range(MAX_RETRIES + 1),
    "ct": range(100, 10_001),
    "rt": range(100, 15_001),
    "tt": range(100, 15_001),
}
"""The overrides that are known: retries, and milliseconds for the connection, an answer, and the whole call."""


class ConnectionSettings(NamedTuple):
    retries: int
    connect: float
    """Seconds, as the following."""
    read: float
    """Between one part of the answer and the next."""
    total: float


def connection_settings(url: str) -> ConnectionSettings:
    """What is unknown, malformed or out of bounds counts as not said.

    Without `tt` the call has what `ct` and `rt` make together, no less than is usual and no more than is possible.
    """
    given = _given(urlsplit(url).fragment)
    connect, read, total = (given.get(key, 0) / 1000 for key in ("ct", "rt", "tt"))
    total = total or min(max(TIME_LIMIT, connect + read), MAX_TIMEOUT_SECONDS)
    return ConnectionSettings(
        retries=given.get("rc", DEFAULT_RETRIES),
        connect=min(connect or TIME_LIMIT, total),
        read=min(read or total, total),
        total=total,
    )


def _given(fragment: str) -> dict[str, int]:
    """Of a key that is there twice, the last value that can be used."""
    return {
        key: int(value)
        for key, value in parse_qsl(fragment)
        if key in BOUNDS and re.fullmatch(r"[0-9]{1,5}", value) and int(value) in BOUNDS[key]
    }
