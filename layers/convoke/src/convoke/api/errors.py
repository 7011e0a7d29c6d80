"""Convert errors to HTTP responses. See docs/behaviour/requests-and-answers.md#error-body.

`render` creates the error responses of the API. Two modules of the embedded engine create other error responses:
embedded/http_protocol.py refuses requests that never reach the API, and embedded/api_docs.py reports missing files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from convoke.api.parameter_names import join_name, parameter_name
from convoke.api.responses import Response
from convoke.domain.errors import (
    ConversationInitializingError,
    ConversationsError,
    InvalidParameterError,
    NotAuthenticatedError,
)

JSON = "application/json"

RETRY_AFTER_SECONDS = "1"
"""The value of the header `Retry-After` in responses with code 50386, and under load in responses with code 20503.

Within this time, most conversations leave the state `initializing`, and the embedded engine usually recovers from a
peak of load.
"""

DETAILS_IN_MESSAGE = frozenset({"hint", "wanted", "where"})
"""The keys of `ConversationsError.details` that a response omits.

The error message already contains the values of these keys.
"""

WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a JSON object",
    "extra_forbidden": "a known key",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_type": "an integer",
    "list_type": "a list",
    "missing": "given",
    "model_attributes_type": "a JSON object",
    "model_type": "a JSON object",
    "string_type": "a string",
}
"""Maps the type of a pydantic error to the requirement that the value must meet. The message contains this requirement.

Errors from Convoke's own validators do not use these texts.
"""


def render(error: ConversationsError, message: str | None = None) -> Response:
    """Return the response that reports an error. `message` replaces the error's own message.

    The first four keys of the body are Twilio's. Convoke adds `details`, which the official SDKs pass on.
    """
    error = _with_parameter(error)
    body: dict[str, object] = {
        "code": error.code,
        "message": message or error.message,
        "more_info": error.more_info,
        "status": error.status,
    }
    if isinstance(error, NotAuthenticatedError):
        # Clients may compare this text, so it is the same as Twilio's text.
        body["detail"] = "Your AccountSid or AuthToken was incorrect."
    if details := _details(error):
        body["details"] = details
    return Response(error.status, JSON, json.dumps(body), headers=_headers(error))


def _with_parameter(error: ConversationsError) -> ConversationsError:
    """Replace the field path in `error` by a parameter name. Do the same for each error in `error.others`."""
    named = error.at(parameter_name(error.field)) if error.field else error
    named.others = tuple(_with_parameter(other) for other in error.others)
    return named


def _details(error: ConversationsError) -> dict[str, object]:
    """Return the object `details` of the error body. Its key `problems` contains the errors in `error.others`."""
    pointers = _pointers(error)
    if error.others:
        pointers["problems"] = [
            {"code": other.code, "message": other.message, **_pointers(other)} for other in error.others
        ]
    return pointers


def _pointers(error: ConversationsError) -> dict[str, object]:
    """Return the details of one error. If a parameter caused the error, include the parameter and the broken rule.

    If the parameter is an element of a list, or belongs to an element, also include the index of the element.
    """
    details: dict[str, object] = {key: value for key, value in error.details.items() if key not in DETAILS_IN_MESSAGE}
    if error.parameter is None:
        return details
    index = re.match(r"[\w.]+\[(\d+)\]", error.parameter)
    pointers = {"parameter": error.parameter, "index": int(index[1]) if index else None, "rule": error.rule}
    return {key: value for key, value in {**pointers, **details}.items() if value is not None}


Location = tuple[str | int, ...]


def problems_of(
    validation: ValidationError, located: Callable[..., Location] = lambda *parts: parts
) -> list[ConversationsError]:
    """Return one ConversationsError for each problem in a ValidationError. The errors contain parameter names.

    A problem has a path in the pydantic model: its `loc`, and then the `field` of its ConversationsError. `located`
    converts this path to the path in the request. Each part of the path is one argument of `located`.
    """
    problems = []
    for problem in validation.errors(include_url=False, include_input=False):
        error = _catalogue_error(problem)
        problems.append(error.at(join_name(located(*problem["loc"], *error.field))))
    return problems


def _catalogue_error(problem: Mapping[str, Any]) -> ConversationsError:
    """Return the error that a validator raised, or an InvalidParameterError if pydantic itself found the problem."""
    context = problem.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, ConversationsError):
        return cause
    wanted = context.get("expected") or WANTED.get(problem["type"])
    return InvalidParameterError(wanted=wanted) if wanted else InvalidParameterError()


def _headers(error: ConversationsError) -> dict[str, str]:
    if isinstance(error, NotAuthenticatedError):
        return {"WWW-Authenticate": 'Basic realm="Twilio API"'}
    if isinstance(error, ConversationInitializingError):
        return {"Retry-After": RETRY_AFTER_SECONDS}
    return {}
