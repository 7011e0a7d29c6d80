"""The header `Prefer: wait=SECONDS` (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFER, PREFERENCE_APPLIED = "Prefer", "Preference-Applied"

MAX_WAIT_SECONDS = 20
"""The longest wait. A longer preference is capped: an HTTP API on AWS ends a request after 30 seconds."""

_PREFERENCE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+', re.DOTALL)
"""The text between two commas. A comma in a quoted string does not count, and the closing quote may be missing."""

_WAIT = re.compile(r'\s*wait\s*=\s*(?:([0-9]+)|"([0-9]+)")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def preferred_wait(headers: Mapping[str, str]) -> int | None:
    """Return the seconds of the preference `wait`. Returns None if there is none, or if it is malformed.

    If `wait` is repeated, the first one counts (RFC 7240, section 2).
    """
    preferences = _PREFERENCE.findall(headers.get(PREFER.lower(), ""))
    waits = [preference for preference in preferences if _name(preference) == "wait"]
    found = _WAIT.fullmatch(waits[0]) if waits else None
    # float, because int() raises ValueError for more than 4,300 digits.
    return int(min(float(found[1] or found[2]), MAX_WAIT_SECONDS)) if found else None


def _name(preference: str) -> str:
    return re.split("[=;]", preference, maxsplit=1)[0].strip().lower()
