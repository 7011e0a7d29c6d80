"""Parse the forms in gateway events: URL-encoded forms and multipart forms.

The gateway may encode a body with Base64. See docs/behaviour/requests-and-answers.md#form-bodies.
"""

from __future__ import annotations

import base64
import re
from binascii import a2b_qp
from collections.abc import Collection, Mapping
from typing import Any

from convoke.domain.errors import InvalidParameterError

FORM = "application/x-www-form-urlencoded"

MULTIPART = "multipart/form-data"

MAX_FORM_FIELDS = 1000

NOT_ESCAPES = re.compile(rb"%(?![0-9A-Fa-f]{2})")
"""Matches a `%` that is not followed by two hexadecimal digits."""

MAX_REQUEST_BODY_BYTES = 1024 * 1024
"""The maximum length of a request body, after Base64 decoding. Usual bodies are much shorter.

This limit does not apply to uploaded files. See api/uploads.py.
"""


class Form:
    """The fields of a form. If a field is repeated, its values keep the order of the request."""

    def __init__(self, fields: list[tuple[str, str]], path_delimiters: str = "") -> None:
        """Create a form from pairs of name and value.

        `path_delimiters` are the characters that a new name must not contain (see domain/names.py). The value comes
        from `Edges.path_delimiters`.
        """
        self.path_delimiters = path_delimiters
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name, []).append(value)

    @property
    def names(self) -> Collection[str]:
        return self._values.keys()

    def values(self, name: str) -> list[str]:
        """Return all values of a field, in the order of the request.

        Return an empty list if the client did not send the field.
        """
        return self._values.get(name, [])

    def last_values(self) -> dict[str, str]:
        """Return the last value of each field."""
        return {name: values[-1] for name, values in self._values.items()}

    def select(self, names: Mapping[str, bool]) -> dict[str, str | list[str]]:
        """Return the values of those fields in `names` that the client sent.

        `names` maps each field to True if the field is a list. The result contains all values of a list, but only the
        last value of a field that is not a list.
        """
        return {
            name: self._values[name] if is_list else self._values[name][-1]
            for name, is_list in names.items()
            if name in self._values
        }


def parse_form(event: Mapping[str, Any], path_delimiters: str = "") -> Form:
    """Parse the body of a gateway event. Raise InvalidParameterError if the body is not a valid form or is too long."""
    return Form(parse_fields(event), path_delimiters)


def parse_fields(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the form fields in the body of a gateway event, as pairs of name and value in the order of the request.

    An empty body is an empty form, with any content type. Otherwise, raise InvalidParameterError if the content type is
    neither FORM nor MULTIPART, or if the body is not a valid form, is too long or has more than MAX_FORM_FIELDS fields.
    """
    body = decode_body(event)
    if not body:
        return []
    content_type = content_type_of(event)
    if media_type(content_type) not in (FORM, MULTIPART):
        raise InvalidParameterError(parameter="Content-Type", wanted=f"{FORM} or {MULTIPART}")
    try:
        if media_type(content_type) == MULTIPART:
            return _multipart_fields(body, content_type)
        return _fields(body)
    except ValueError as error:
        wanted = f"a form in UTF-8 with at most {MAX_FORM_FIELDS} fields"
        raise InvalidParameterError(parameter="body", wanted=wanted) from error


def content_type_of(event: Mapping[str, Any]) -> str:
    return str((event.get("headers") or {}).get("content-type", FORM))


def media_type(content_type: str) -> str:
    """Return the media type of a content type, without parameters and in lower case."""
    return content_type.partition(";")[0].strip().lower()


_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)', re.IGNORECASE)

_PART_NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data\b[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)


def _multipart_fields(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the fields of a multipart form (RFC 7578).

    Raise ValueError if the form is malformed, has more than MAX_FORM_FIELDS fields, or is not UTF-8. The function
    ignores the content type of each field, because these forms contain only text.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("no boundary")
    delimiter = f"\r\n--{found[1] or found[2]}".encode()
    _, *parts = (b"\r\n" + body).split(delimiter, MAX_FORM_FIELDS + 1)
    if not parts or not parts[-1].startswith(b"--") or delimiter in parts[-1]:
        raise ValueError("no closing delimiter, or too many fields")
    return [_multipart_field(part) for part in parts[:-1]]


def _multipart_field(part: bytes) -> tuple[str, str]:
    padding, line_break, rest = part.partition(b"\r\n")
    head, blank_line, value = rest.partition(b"\r\n\r\n")
    name = _PART_NAME.search(head)
    if padding.strip(b" \t") or not line_break or not blank_line or name is None:
        raise ValueError("a malformed field")
    return (name[1] if name[1] is not None else name[2]).decode(), value.decode()


def _fields(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a URL-encoded form. Raise ValueError if the form has too many fields or is not UTF-8.

    For a valid form, the result equals the result of `urllib.parse.parse_qsl` with blank values. This function is
    faster, because `parse_qsl` decodes the percent-encoding in Python code. The result includes fields with an empty
    value, because an empty value in an update removes the stored value.
    """
    fields = body.replace(b"+", b" ").split(b"&")
    if len(fields) > MAX_FORM_FIELDS:
        raise ValueError("too many fields")
    pairs = (field.partition(b"=") for field in fields if field)
    return [(_unquoted(name).decode(), _unquoted(value).decode()) for name, _, value in pairs]


def _unquoted(text: bytes) -> bytes:
    """Decode the percent-encoding, such as `%20`. A `%` without two hexadecimal digits stays unchanged."""
    if b"%" not in text:
        return text
    # Convert the text to quoted-printable, because the standard library decodes quoted-printable in C. In
    # quoted-printable, the escape character is `=`. Therefore escape every `=`, and every `%` without two hexadecimal
    # digits. Then replace each `%` by `=`.
    quoted = NOT_ESCAPES.sub(b"%25", text).replace(b"=", b"=3D").replace(b"%", b"=")
    return a2b_qp(quoted)


def decode_body(event: Mapping[str, Any]) -> bytes:
    """Return the body of a gateway event as the client sent it.

    Raise InvalidParameterError if the body is too long or is not valid Base64.
    """
    body = decode_base64(event)
    if len(body) > MAX_REQUEST_BODY_BYTES:
        raise InvalidParameterError(parameter="body", wanted=f"at most {MAX_REQUEST_BODY_BYTES} bytes")
    return body


def decode_base64(event: Mapping[str, Any]) -> bytes:
    """Return the body of a gateway event. The length of the body is not limited.

    Raise InvalidParameterError if the body is not valid Base64.
    """
    text = event.get("body") or ""
    try:
        return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError as error:
        raise InvalidParameterError(
            parameter="body", wanted="text, or valid Base64 if the event says that it is encoded"
        ) from error
