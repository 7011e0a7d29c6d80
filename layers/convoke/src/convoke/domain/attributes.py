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
        json.loads(attributes, parse_constant=refuse_constant, parse_int=len)
    except (ValueError, RecursionError) as error:
        raise AttributesNotJsonError from error
    return attributes


def refuse_constant(constant: str) -> None:
    """For the `parse_constant` of the json module, which takes `NaN` and `Infinity` otherwise."""
    raise ValueError(f"{constant} is not JSON")
