"""Parse the header `Prefer: wait=SECONDS` (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFER, PREFERENCE_APPLIED = "Prefer", "Preference-Applied"

MAX_PREFERRED_WAIT_SECONDS = 20
"""The maximum wait. If the client prefers a longer wait, this maximum is used.

The maximum is below 30 seconds, because an HTTP API of Amazon API Gateway ends a request after 30 seconds.
"""

_PREFERENCE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+', re.DOTALL)
"""Matches one preference in a list that is separated by commas.

A comma in a quoted string does not end the preference. The closing quote of the string may be missing.
"""

_WAIT = re.compile(r'\s*wait\s*=\s*(?:([0-9]+)|"([0-9]+)")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def preferred_wait(headers: Mapping[str, str]) -> int | None:
    """Return how many seconds the client prefers to wait, at most MAX_PREFERRED_WAIT_SECONDS.

    Return None if the preference `wait` is missing or malformed. If the client repeats `wait`, use only the first one
    (RFC 7240, section 2).
    """
    preferences = _PREFERENCE.findall(headers.get(PREFER.lower(), ""))
    waits = [preference for preference in preferences if _name(preference) == "wait"]
    found = _WAIT.fullmatch(waits[0]) if waits else None
    # Parse with `float`, because `int` raises ValueError for more than 4,300 digits.
    return int(min(float(found[1] or found[2]), MAX_PREFERRED_WAIT_SECONDS)) if found else None


def _name(preference: str) -> str:
    return re.split("[=;]", preference, maxsplit=1)[0].strip().lower()
