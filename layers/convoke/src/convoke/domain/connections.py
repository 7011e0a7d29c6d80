"""The connection settings that the fragment of a webhook's URL overrides: `#rc=2&ct=1000`.

See docs/behaviour/webhook-delivery.md#connection-overrides.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

DEFAULT_TIMEOUT_SECONDS = 5.0
"""The time limit of a call, unless its URL sets another."""

MAX_TIMEOUT_SECONDS = 15.0

DEFAULT_RETRIES = 3
MAX_RETRIES = 5

BOUNDS = {
    "rc": range(MAX_RETRIES + 1),
    "ct": range(100, 10_001),
    "rt": range(100, 15_001),
    "tt": range(100, 15_001),
}
"""The valid values of each override: retries, then milliseconds to connect, to read, and for the whole call."""


class ConnectionSettings(NamedTuple):
    retries: int
    connect: float
    """Seconds to connect."""
    read: float
    """Seconds between one part of the answer and the next."""
    total: float
    """Seconds for the whole call."""


def connection_settings(url: str) -> ConnectionSettings:
    """Return the settings of a URL. Overrides that are unknown, malformed or out of range are ignored.

    Without `tt`, the whole call may take the sum of `ct` and `rt`, but at least `DEFAULT_TIMEOUT_SECONDS` and at most
    `MAX_TIMEOUT_SECONDS`.
    """
    given = _overrides(urlsplit(url).fragment)
    connect, read, total = (given.get(key, 0) / 1000 for key in ("ct", "rt", "tt"))
    total = total or min(max(DEFAULT_TIMEOUT_SECONDS, connect + read), MAX_TIMEOUT_SECONDS)
    return ConnectionSettings(
        retries=given.get("rc", DEFAULT_RETRIES),
        connect=min(connect or DEFAULT_TIMEOUT_SECONDS, total),
        read=min(read or total, total),
        total=total,
    )


def _overrides(fragment: str) -> dict[str, int]:
    """Return the valid overrides. If a key is repeated, its last valid value counts."""
    return {
        key: int(value)
        for key, value in parse_qsl(fragment)
        if key in BOUNDS and re.fullmatch(r"[0-9]{1,5}", value) and int(value) in BOUNDS[key]
    }
