"""The `attributes` of a resource: a string that holds JSON, kept to the letter (reference, f.4)."""

from __future__ import annotations

import json

from convoke.domain.errors import AttributesNotJsonError, AttributesTooLongError


def check_attributes(attributes: str, longest: int) -> str:
    """`attributes` as they are. Raises where they are no JSON or longer than `longest` bytes of UTF-8.

    Numbers are not converted: Python refuses integers of thousands of digits, JSON does not.
    """
    if len(attributes.encode()) > longest:
        raise AttributesTooLongError(longest=longest)
    try:
        json.loads(attributes, parse_constant=_refuse, parse_int=len)
    except (ValueError, RecursionError) as error:
        raise AttributesNotJsonError from error
    return attributes


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
