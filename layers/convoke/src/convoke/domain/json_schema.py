"""The JSON Schemas of request fields.

Each function returns a `WithJsonSchema` marker, which contains the schema of a field type. Most field types with a
validator have a marker, because pydantic cannot derive a schema from the code of a validator. Only `/openapi.json` uses
the markers.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import WithJsonSchema

from convoke.domain.sids import SID_DIGITS, Prefix

IN_EITHER_CASE = "Upper and lower case do not differ."


def string_schema(
    max_characters: int, *, min_characters: int = 0, media_type: str = "", description: str = ""
) -> WithJsonSchema:
    """Return the schema of a string with a limited length."""
    schema: dict[str, object] = {"type": "string", "maxLength": max_characters}
    if min_characters:
        schema["minLength"] = min_characters
    if media_type:
        schema["contentMediaType"] = media_type
    if description:
        schema["description"] = description
    return WithJsonSchema(schema)


def attributes_schema(max_bytes: int) -> WithJsonSchema:
    """Return the schema of a string that contains JSON.

    `max_bytes` is the maximum number of bytes, but JSON Schema can only limit the number of characters. A string with
    non-ASCII characters can therefore match the schema and still have too many bytes.
    """
    return string_schema(max_bytes, media_type="application/json", description="A string that holds JSON.")


def pattern_schema(pattern: str, description: str = "") -> WithJsonSchema:
    """Return the schema of a string that matches a regular expression."""
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return WithJsonSchema(schema | {"description": description} if description else schema)


def sid_schema(prefix: Prefix, description: str = "") -> WithJsonSchema:
    """Return the schema of a SID."""
    return pattern_schema(prefix + SID_DIGITS, description)


def word_schema(words: Iterable[str], description: str = "", **more: object) -> WithJsonSchema:
    """Return the schema of a string that is one of `words`. `more` contains other keywords, such as `default`."""
    schema: dict[str, object] = {"type": "string", "enum": [*words], **more}
    return WithJsonSchema(schema | {"description": description} if description else schema)


def timestamp_schema(description: str = "") -> WithJsonSchema:
    """Return the schema of a date with a time."""
    schema = {"type": "string", "format": "date-time"}
    return WithJsonSchema(schema | {"description": description} if description else schema)


def timer_schema(minimum: str) -> WithJsonSchema:
    """Return the schema of an ISO 8601 duration that is `PT0S` or at least `minimum`."""
    description = f"An ISO 8601 duration of at least {minimum}. PT0S switches the timer off."
    return WithJsonSchema({"type": "string", "format": "duration", "description": description})
