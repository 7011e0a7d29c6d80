"""A message can refer to a content template and its variables (domain/content.py)."""

from __future__ import annotations

import json

import pytest

from convoke.domain.content import check_content_sid, check_content_variables
from convoke.domain.errors import (
    ContentVariableKeyTooLongError,
    ContentVariablesNotJsonError,
    ContentVariablesTooLongError,
    ContentVariableTooLongError,
    ConversationsError,
    InvalidContentSidError,
    TooManyContentVariablesError,
)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"1": ""},
        {"k" * 16: "v" * 256},
        {"\U0001f600" * 16: "\U0001f600" * 256},
        {f"{number:016}": "v" * 256 for number in range(99)},
        {str(number): "v" for number in range(100)},
    ],
    ids=["none", "empty value", "longest key and value", "longest in emoji", "99 longest", "100 variables"],
)
def test_content_variables_within_the_limits_are_accepted(variables: dict[str, str]) -> None:
    text = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    assert check_content_variables(text) == text


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({"k" * 17: "v"}, ContentVariableKeyTooLongError),
        ({"k": "v" * 257}, ContentVariableTooLongError),
        ({str(number): "v" for number in range(101)}, TooManyContentVariablesError),
        ({f"{number:016}": "v" * 256 for number in range(120)}, ContentVariablesTooLongError),
    ],
    ids=["key of 17 characters", "value of 257 characters", "101 variables", "JSON too long"],
)
def test_content_variables_beyond_a_limit_are_rejected(
    variables: dict[str, str], error: type[ConversationsError]
) -> None:
    with pytest.raises(error):
        check_content_variables(json.dumps(variables, separators=(",", ":")))


def test_content_variables_have_at_most_27801_characters() -> None:
    assert check_content_variables("{}" + " " * 27_799)
    with pytest.raises(ContentVariablesTooLongError):
        check_content_variables("{}" + " " * 27_800)


@pytest.mark.parametrize(
    "text", ["", "text", "[]", "null", '"a"', '{"1": 1}', '{"1": null}', '{"1": NaN}', "[" * 9_000]
)
def test_content_variables_other_than_an_object_of_strings_are_rejected(text: str) -> None:
    with pytest.raises(ContentVariablesNotJsonError):
        check_content_variables(text)


def test_content_sid_must_begin_with_hx() -> None:
    assert check_content_sid("HX" + "0" * 32) == "HX" + "0" * 32
    for sid in ("", "HX", "MB" + "0" * 32, "HX" + "0" * 31):
        with pytest.raises(InvalidContentSidError):
            check_content_sid(sid)
