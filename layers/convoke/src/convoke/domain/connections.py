"""The connection settings of a webhook. The fragment of the URL, such as `#rc=2&ct=1000`, overrides the defaults.

See docs/behaviour/webhook-delivery.md#connection-overrides.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

DEFAULT_TIMEOUT_SECONDS = 5.0
"""The time limit of a call, unless the URL overrides the limit."""

MAX_TIMEOUT_SECONDS = 15.0

DEFAULT_RETRIES = 3
MAX_RETRIES = 5

BOUNDS = {
    "rc": range(MAX_RETRIES + 1),
    "ct": range(100, 10_001),
    "rt": range(100, 15_001),
    "tt": range(100, 15_001),
}
"""The valid values of each override.

`rc` is the number of retries. The other overrides are times in milliseconds: `ct` to connect, `rt` between two parts of
the answer, `tt` for the whole call.
"""


class ConnectionSettings(NamedTuple):
    retries: int
    connect: float
    """The maximum number of seconds to connect."""
    read: float
    """The maximum number of seconds between two parts of the answer."""
    total: float
    """The maximum number of seconds for the whole call."""


def connection_settings(url: str) -> ConnectionSettings:
    """Return the connection settings of a URL. Overrides that are unknown, malformed or out of range are ignored.

    Without `tt`, the time limit of the whole call is the sum of `ct` and `rt`. The limit is then at least
    `DEFAULT_TIMEOUT_SECONDS` and at most `MAX_TIMEOUT_SECONDS`.
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
    """Return the valid overrides. If a key is repeated, the result contains its last valid value."""
    return {
        key: int(value)
        for key, value in parse_qsl(fragment)
        if key in BOUNDS and re.fullmatch(r"[0-9]{1,5}", value) and int(value) in BOUNDS[key]
    }
