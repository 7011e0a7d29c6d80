"""A name in a path must not contain a character at which the gateway cuts off the path (domain/names.py)."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from convoke.domain.names import NAME_IN_PATH

NAME = TypeAdapter[str | None](Annotated[str | None, NAME_IN_PATH])


@pytest.mark.parametrize("context", [None, "", "#"])
def test_name_without_the_characters_of_the_context_is_unchanged(context: str | None) -> None:
    assert NAME.validate_python("what?", context=context) == "what?"


@pytest.mark.parametrize("name", ["?", "what?", "?what", "wh?at"])
def test_name_with_a_character_of_the_context_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        NAME.validate_python(name, context="#?")
    (problem,) = refused.value.errors()
    assert problem["ctx"]["error"].message.startswith("The parameter must be a text without ?, because")


def test_missing_name_is_valid_with_every_context() -> None:
    assert NAME.validate_python(None, context="?") is None
