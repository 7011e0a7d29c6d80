"""The connection settings of a webhook. The URL's fragment, such as `#rc=2&ct=1000`, can override the defaults.

See docs/behaviour/webhook-delivery.md#connection-overrides.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

DEFAULT_TIMEOUT_SECONDS = 5.0
"""The time limit for a call to a webhook whose URL has no overrides. See `connection_settings`."""

MAX_TIMEOUT_SECONDS = 15.0

DEFAULT_RETRIES = 3
MAX_RETRIES = 5

BOUNDS = {
    "rc": range(MAX_RETRIES + 1),
    "ct": range(100, 10_001),
    "rt": range(100, 15_001),
    "tt": range(100, 15_001),
}
"""Maps the name of each override to its valid values. The fragment of the URL contains the overrides.

`rc` is the number of retries. `ct`, `rt` and `tt` are time limits in milliseconds. `ct` limits the time to connect.
`rt` limits the time between two parts of the answer. `tt` limits the time for the whole call.
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
    """Return the connection settings of a URL. The function ignores unknown, malformed and out-of-range overrides.

    Without `tt`, the limit for the whole call is the sum of `ct` and `rt`. A missing override counts as 0 in this sum.
    A sum outside the range from `DEFAULT_TIMEOUT_SECONDS` to `MAX_TIMEOUT_SECONDS` becomes the nearest limit of this
    range.

    Without `ct`, the limit `connect` is DEFAULT_TIMEOUT_SECONDS. Without `rt`, the limit `read` is the limit for the
    whole call. Neither limit exceeds the limit for the whole call.
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
    """Return the valid overrides by name. If the fragment repeats a name, the last valid value counts."""
    return {
        key: int(value)
        for key, value in parse_qsl(fragment)
        if key in BOUNDS and re.fullmatch(r"[0-9]{1,5}", value) and int(value) in BOUNDS[key]
    }
