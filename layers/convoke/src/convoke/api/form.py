"""Parse form bodies. A name can be repeated and can contain dots. The gateway can encode a body with Base64.

See docs/behaviour/requests-and-answers.md#form-bodies.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from convoke.domain.errors import InvalidParameterError

FORM = "application/x-www-form-urlencoded"

MAX_FORM_FIELDS = 1000

MAX_REQUEST_BODY_BYTES = 1024 * 1024
"""The maximum length of a body as the client sends it. Every valid body is much shorter."""


class Form:
    """The fields of a form. The values of a repeated field keep the order in which the client sent them."""

    def __init__(self, fields: list[tuple[str, str]], path_delimiters: str = "") -> None:
        """`path_delimiters` are the characters that names in the form must not contain. See `Edges.path_delimiters`."""
        self.path_delimiters = path_delimiters
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name, []).append(value)

    def values(self, name: str) -> list[str]:
        """Return every value of a field, in the order of the request. Empty if the client did not send the field."""
        return self._values.get(name, [])

    def last_values(self) -> dict[str, str]:
        """Return the last value of each field."""
        return {name: values[-1] for name, values in self._values.items()}

    def select(self, names: Mapping[str, bool]) -> dict[str, str | list[str]]:
        """Return the values of the fields in `names` that the client sent.

        If `names` maps a field to True, the result contains the list of all values. Otherwise the result contains
        the last value.
        """
        return {
            name: self._values[name] if is_list else self._values[name][-1]
            for name, is_list in names.items()
            if name in self._values
        }


def parse_form(event: Mapping[str, Any], path_delimiters: str = "") -> Form:
    """Return the form in the body of a gateway event. Raise InvalidParameterError if the body is not a form."""
    body = decode_body(event)
    if not body:
        return Form([])
    content_type = (event.get("headers") or {}).get("content-type", FORM)
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise InvalidParameterError(parameter="Content-Type", wanted=FORM)
    try:
        # Empty values are kept, because an empty value in an update removes the stored value.
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        wanted = f"a form in UTF-8 with at most {MAX_FORM_FIELDS} fields"
        raise InvalidParameterError(parameter="body", wanted=wanted) from error
    return Form(fields, path_delimiters)


def decode_body(event: Mapping[str, Any]) -> bytes:
    """Return the body of a gateway event as the client sent it.

    Raise InvalidParameterError if the body is too long or is not valid Base64.
    """
    text = event.get("body") or ""
    try:
        body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError as error:
        raise InvalidParameterError(
            parameter="body", wanted="text, or valid Base64 if the event says that it is encoded"
        ) from error
    if len(body) > MAX_REQUEST_BODY_BYTES:
        raise InvalidParameterError(parameter="body", wanted=f"at most {MAX_REQUEST_BODY_BYTES} bytes")
    return body
