"""Check the field `attributes` of a resource: a string that contains JSON. Convoke stores the string unchanged.

The module of each resource defines the maximum size of the field. For example, `domain/conversations.py` defines
MAX_CONVERSATION_ATTRIBUTES_BYTES. See docs/behaviour/requests-and-answers.md#json-in-parameters.
"""

from __future__ import annotations

import json

from convoke.domain.errors import AttributesNotJsonError, AttributesTooLongError


def check_attributes(attributes: str, max_bytes: int) -> str:
    """Return `attributes` unchanged.

    Raise an error if the text is not JSON or has more than `max_bytes` bytes in UTF-8.
    """
    if len(attributes.encode()) > max_bytes:
        raise AttributesTooLongError(longest=max_bytes)
    try:
        _DECODER.decode(attributes)
    except (ValueError, RecursionError) as error:
        raise AttributesNotJsonError from error
    return attributes


def refuse_constant(constant: str) -> None:
    """Raise ValueError. Pass this function to a JSON decoder as `parse_constant`.

    The decoder then refuses `NaN`, `Infinity` and `-Infinity`. Python's json module accepts these constants by default,
    but they are not valid JSON.
    """
    raise ValueError(f"{constant} is not JSON")


# JSON allows integers of any length, but `int` raises ValueError for more than 4,300 digits. Therefore the decoder
# calls `len` in place of `int`. The decoded value is not used.
_DECODER = json.JSONDecoder(parse_constant=refuse_constant, parse_int=len)
