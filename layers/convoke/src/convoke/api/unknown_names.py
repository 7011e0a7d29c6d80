"""Find the unknown names in a request, and suggest the names that the client probably meant.

`api/parameters.py` determines which names are known. See docs/behaviour/requests-and-answers.md#unknown-names.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping

logger = logging.getLogger(__name__)

MAX_NAME_CHARACTERS = 40
"""The maximum length of an unknown name that `unknown_names` compares or returns. No valid name is longer."""

MAX_REPORTED_NAMES = 10

_PLAIN_NAME = re.compile(rf"[A-Za-z_.]{{1,{MAX_NAME_CHARACTERS}}}")


def unknown_names(sent: Collection[str], known: Collection[str]) -> dict[str, str | None]:
    """Find the unknown names in `sent`. The value for each name is the most similar known name, or None.

    The result contains at most `MAX_REPORTED_NAMES` names. The result omits a name that could be personal data. Such a
    name has no similar known name, and is too long or contains other characters than letters, `_` and `.`.
    """
    unknown = [name for name in sent if name not in known][:MAX_REPORTED_NAMES]
    if not unknown:
        return {}
    found = {name: _nearest(name, known) for name in unknown}
    return {name: nearest for name, nearest in found.items() if nearest or _PLAIN_NAME.fullmatch(name)}


def warn_of_ignored_names(kind: str, names: Mapping[str, str | None]) -> None:
    """Log a warning if `names` is not empty. `kind` says what the names are, such as `form parameters`."""
    if names:
        logger.warning("unknown %s were ignored", kind, extra={"did_you_mean": dict(names)})


def hint_of(names: Mapping[str, str | None]) -> str:
    """Return a hint for an error message. The hint lists unknown keys. `names` must not be empty."""
    return "; ".join(
        f"unknown key {name}: did you mean {nearest}?" if nearest else f"unknown key {name}"
        for name, nearest in names.items()
    )


def _nearest(name: str, known: Collection[str]) -> str | None:
    if len(name) > MAX_NAME_CHARACTERS:
        return None
    # Import here, because few requests have an unknown name.
    from difflib import get_close_matches  # noqa: PLC0415 - see above

    plain = {_plain(each): each for each in known}
    matches = get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    return plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    """Return only the letters of a name, in lower case.

    The result is the same for PascalCase, camelCase, snake_case and names with dots, which clients often confuse.
    """
    return re.sub("[^a-z]", "", name.lower())
