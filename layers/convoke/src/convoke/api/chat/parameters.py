"""Parse the bodies of chat clients. The results are the parameter models of the domain."""

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
    """Return the parameters in a body. Only the fields in `names` are used. See `text_fields`.

    If the body is invalid, raise the first error. The attribute `others` of this error contains further errors. If a
    field is not a string, the rules of the model are not checked.
    """
    return validated(model, text_fields(body, names, clearable))


def text_fields(body: Mapping[str, Any], names: Collection[str], clearable: Collection[str] = ()) -> dict[str, str]:
    """Return the fields in `names` that a body contains. Raise InvalidParameterError if a field is not a string.

    A field whose value is null counts as missing, unless the field is in `clearable`. For a field in `clearable`, null
    becomes an empty string, which removes the stored value.
    """
    given = {name: "" if body[name] is None else body[name] for name in names if is_given(body, name, clearable)}
    problems = [
        InvalidParameterError(parameter=name, wanted="a string")
        for name, value in given.items()
        if not isinstance(value, str)
    ]
    if problems:
        raise refusal(problems)
    return given


def is_given(body: Mapping[str, Any], name: str, clearable: Collection[str] = ()) -> bool:
    """Return whether a body has a value for a parameter.

    Null counts as a value only if the parameter is in `clearable`.
    """
    return name in body and (body[name] is not None or name in clearable)


def validated(model: type[Parameters], given: Mapping[str, Any]) -> Parameters:
    """Create a model from the given fields. If fields are invalid, raise the first error, with the rest in `others`."""
    try:
        # The context is the set of characters that a gateway does not accept in paths, see `Edges.path_delimiters`.
        # The calls of chat clients do not pass through such a gateway, so the set is empty.
        return model.model_validate(given, context="")
    except ValidationError as error:
        raise refusal(in_order_of_checks(model, problems_of(error))) from error
