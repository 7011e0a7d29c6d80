"""What a client would like but does not insist on: the header `Prefer` (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFER, PREFERENCE_APPLIED = "Prefer", "Preference-Applied"

MAX_WAIT_SECONDS = 20
"""Seconds. More is applied as this: an HTTP API of AWS ends a request after 30."""

_PREFERENCE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+', re.DOTALL)
"""What stands between two commas; one in a quoted text does not count, and a text that does not end is the last."""

_WAIT = re.compile(r'\s*wait\s*=\s*(?:([0-9]+)|"([0-9]+)")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def preferred_wait(headers: Mapping[str, str]) -> int | None:
    """The seconds of `wait`. What is malformed or unknown is ignored; of several the first counts (section 2)."""
    preferences = _PREFERENCE.findall(headers.get(PREFER.lower(), ""))
    waits = [preference for preference in preferences if _name(preference) == "wait"]
    found = _WAIT.fullmatch(waits[0]) if waits else None
    # A float, as Python converts no more than 4,300 digits to a whole number.
    return int(min(float(found[1] or found[2]), MAX_WAIT_SECONDS)) if found else None


def _name(preference: str) -> str:
    return re.split("[=;]", preference, maxsplit=1)[0].strip().lower()
