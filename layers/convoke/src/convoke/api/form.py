"""Form bodies: repeated keys and dotted names, in plain text or Base64 as the gateway passes them on.

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

MAX_REQUEST_BODY_CHARACTERS = 1024 * 1024
"""The limit of a body in characters, before Base64 is decoded. No valid request comes near it."""


class Form:
    """The fields of a form. Each field keeps all its values in the order in which the client sent them."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name, []).append(value)

    def values(self, name: str) -> list[str]:
        """Return every value of a field, in the order in which the client sent them."""
        return self._values.get(name, [])

    def select(self, names: Mapping[str, bool]) -> dict[str, str | list[str]]:
        """Return the fields of `names` that the client sent.

        If `names` maps a field to True, the result holds all its values, else the last one.
        """
        return {
            name: self._values[name] if is_list else self._values[name][-1]
            for name, is_list in names.items()
            if name in self._values
        }


def parse_form(event: Mapping[str, Any]) -> Form:
    """Return the form in the body of a gateway event. Raises InvalidParameterError if the body is not a form."""
    body = decode_body(event)
    if not body:
        return Form([])
    content_type = event.get("headers", {}).get("content-type", FORM)
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise InvalidParameterError(parameter="Content-Type", wanted=FORM)
    try:
        # Blank values count: an empty value removes a field in an update.
        return Form(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS))
    except ValueError as error:
        wanted = f"a form in UTF-8 with at most {MAX_FORM_FIELDS} fields"
        raise InvalidParameterError(parameter="body", wanted=wanted) from error


def decode_body(event: Mapping[str, Any]) -> bytes:
    """Return the body of a gateway event as the client sent it.

    Raises InvalidParameterError if the body is too long or is not valid Base64.
    """
    body = event.get("body") or ""
    if len(body) > MAX_REQUEST_BODY_CHARACTERS:
        raise InvalidParameterError(parameter="body", wanted=f"at most {MAX_REQUEST_BODY_CHARACTERS} bytes")
    try:
        return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise InvalidParameterError(
            parameter="body", wanted="text, or valid Base64 if the event says that it is encoded"
        ) from error
