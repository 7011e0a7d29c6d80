"""The content template of a message: its SID and the values of its variables.

See docs/behaviour/messages.md#content-templates.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator

from convoke.domain.attributes import refuse_constant
from convoke.domain.errors import (
    ContentVariableKeyTooLongError,
    ContentVariablesNotJsonError,
    ContentVariablesTooLongError,
    ContentVariableTooLongError,
    InvalidContentSidError,
    TooManyContentVariablesError,
)
from convoke.domain.json_schema import sid_schema, string_schema
from convoke.domain.sids import Prefix, is_sid

MAX_CONTENT_VARIABLES_CHARACTERS = 27_801
"""The maximum length of the JSON object with the variables.

A JSON object with 100 variables of maximum length, written without spaces and escapes, has this length.
"""

MAX_CONTENT_VARIABLES = 100
MAX_VARIABLE_KEY_CHARACTERS = 16
MAX_VARIABLE_VALUE_CHARACTERS = 256


def check_content_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.CONTENT):
        raise InvalidContentSidError
    return sid


def check_content_variables(text: str) -> str:
    if len(text) > MAX_CONTENT_VARIABLES_CHARACTERS:
        raise ContentVariablesTooLongError
    variables = _parsed(text)
    if len(variables) > MAX_CONTENT_VARIABLES:
        raise TooManyContentVariablesError
    if any(len(key) > MAX_VARIABLE_KEY_CHARACTERS for key in variables):
        raise ContentVariableKeyTooLongError
    if any(len(value) > MAX_VARIABLE_VALUE_CHARACTERS for value in variables.values()):
        raise ContentVariableTooLongError
    return text


def _parsed(text: str) -> dict[str, str]:
    try:
        variables = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ContentVariablesNotJsonError from error
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise ContentVariablesNotJsonError
    return variables


ContentSid = Annotated[
    str, AfterValidator(check_content_sid), sid_schema(Prefix.CONTENT, "If given, Body and MediaSid are ignored.")
]
ContentVariables = Annotated[
    str,
    AfterValidator(check_content_variables),
    string_schema(
        MAX_CONTENT_VARIABLES_CHARACTERS,
        media_type="application/json",
        description="A JSON object whose values are strings.",
    ),
]
