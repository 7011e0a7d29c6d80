"""The `attributes` of a resource: a string that holds JSON. Convoke stores it unchanged.

See docs/behaviour/requests-and-answers.md#json-in-parameters.
"""

from __future__ import annotations

import json

from convoke.domain.errors import AttributesNotJsonError, AttributesTooLongError


def check_attributes(attributes: str, max_bytes: int) -> str:
    """Return `attributes` unchanged. Raise an error if they are not JSON or longer than `max_bytes` in UTF-8."""
    if len(attributes.encode()) > max_bytes:
        raise AttributesTooLongError(longest=max_bytes)
    try:
        # `len` stands in for `int`: Python refuses to convert integers of thousands of digits, which JSON allows.
        json.loads(attributes, parse_constant=refuse_constant, parse_int=len)
    except (ValueError, RecursionError) as error:
        raise AttributesNotJsonError from error
    return attributes


def refuse_constant(constant: str) -> None:
    """Raise ValueError for `NaN` and `Infinity`, which Python's json module accepts by default."""
    raise ValueError(f"{constant} is not JSON")
