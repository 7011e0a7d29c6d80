"""Parse the JSON bodies of chat clients into the parameter models of the domain."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from convoke.api.errors import problems_of
from convoke.api.parameters import in_order_of_checks
from convoke.domain.errors import InvalidParameterError, refusal
from convoke.domain.model import Model

Parameters = TypeVar("Parameters", bound=Model)


def parse(
    model: type[Parameters], body: Mapping[str, Any], names: Collection[str], clearable: Collection[str] = ()
) -> Parameters:
    """Return the parameters `names` of a body. Their values must be strings. All other keys of the body are ignored.

    A parameter whose value is null counts as missing. But null removes the stored value of a `clearable` parameter.

    If the body is invalid, raise the first error. The attribute `others` of this error contains the other errors.
    """
    given = {name: "" if body[name] is None else body[name] for name in names if is_given(body, name, clearable)}
    if problems := [
        InvalidParameterError(parameter=name, wanted="a string")
        for name, value in given.items()
        if not isinstance(value, str)
    ]:
        raise refusal(problems)
    return validated(model, given)


def is_given(body: Mapping[str, Any], name: str, clearable: Collection[str] = ()) -> bool:
    """Return whether a body has a value for a parameter."""
    return name in body and (body[name] is not None or name in clearable)


def validated(model: type[Parameters], given: Mapping[str, Any]) -> Parameters:
    """Return the model with the given fields. Raise the same errors as `parse`."""
    try:
        # The context contains the characters that names must not contain. No gateway cuts the paths of chat clients.
        return model.model_validate(given, context="")
    except ValidationError as error:
        raise refusal(in_order_of_checks(model, problems_of(error))) from error
