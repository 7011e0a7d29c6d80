"""Errors as clients see them (reference, c.1). The one place that renders them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from aws_lambda_powertools.event_handler import Response
from pydantic import ValidationError

from convoke.api.parameter_names import join_name, parameter_name
from convoke.domain.errors import (
    ConversationInitializingError,
    ConversationsError,
    InvalidParameterError,
    NotAuthenticatedError,
)

JSON = "application/json"

RETRY_AFTER_SECONDS = "1"
"""Seconds after which most conversations are no longer initializing."""

DETAILS_IN_TEXT = frozenset({"wanted", "where"})
"""Details that the message spells out already."""


def render(error: ConversationsError, message: str | None = None) -> Response[str]:
    """Four keys; `details` beside them where there is something to point at. SDKs hand it to their callers."""
    error = _with_parameter(error)
    body: dict[str, object] = {
        "code": error.code,
        "message": message or error.message,
        "more_info": error.more_info,
        "status": error.status,
    }
    if isinstance(error, NotAuthenticatedError):
        body["detail"] = "Your AccountSid or AuthToken was incorrect."
    if details := _details(error):
        body["details"] = details
    return Response(error.status, JSON, json.dumps(body), headers=_headers(error))


def _with_parameter(error: ConversationsError) -> ConversationsError:
    """Return the error and its further problems with the name of the parameter instead of the path of the field."""
    named = error.at(parameter_name(error.field)) if error.field else error
    named.others = tuple(_with_parameter(other) for other in error.others)
    return named


def _details(error: ConversationsError) -> dict[str, object]:
    """What to act on: where, which rule, figures and SIDs that help, and every further problem of the request."""
    pointers = _pointers(error)
    if error.others:
        pointers["problems"] = [
            {"code": other.code, "message": other.message, **_pointers(other)} for other in error.others
        ]
    return pointers


def _pointers(error: ConversationsError) -> dict[str, object]:
    if error.parameter is None:
        return {key: value for key, value in error.details.items() if key not in DETAILS_IN_TEXT}
    index = re.match(r"[\w.]+\[(\d+)\]", error.parameter)
    pointers = {"parameter": error.parameter, "index": int(index[1]) if index else None, "rule": error.rule}
    details = {key: value for key, value in error.details.items() if key not in DETAILS_IN_TEXT}
    return {key: value for key, value in {**pointers, **details}.items() if value is not None}


Location = tuple[str | int, ...]


def problems_of(
    validation: ValidationError, located: Callable[..., Location] = lambda *parts: parts
) -> list[ConversationsError]:
    """Every problem as an error of the catalogue, named by the parameter it is about.

    `located` makes the place in the request of the place in the model, part by part.
    """
    problems = []
    for each in validation.errors(include_url=False, include_input=False):
        cause = each.get("ctx", {}).get("error")
        error = cause if isinstance(cause, ConversationsError) else InvalidParameterError()
        problems.append(error.at(join_name(located(*each["loc"], *error.field))))
    return problems


def _headers(error: ConversationsError) -> dict[str, str | list[str]]:
    if isinstance(error, NotAuthenticatedError):
        return {"WWW-Authenticate": 'Basic realm="Twilio API"'}
    if isinstance(error, ConversationInitializingError):
        return {"Retry-After": RETRY_AFTER_SECONDS}
    return {}
