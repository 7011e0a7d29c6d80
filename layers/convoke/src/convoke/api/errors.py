"""Errors as clients see them (reference, c.1). The one place that renders them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_lambda_powertools.event_handler import Response
from pydantic import ValidationError

from convoke.domain.errors import ConversationsError, InvalidParameterError, NotAuthenticatedError

JSON = "application/json"

SAID_IN_TEXT = frozenset({"wanted", "where"})
"""Details that the message spells out already."""


def render(error: ConversationsError, message: str | None = None) -> Response[str]:
    """Four keys; `details` beside them where there is something to point at. SDKs hand it to their callers."""
    body: dict[str, object] = {
        "code": error.code,
        "message": message or error.message,
        "more_info": error.more_info,
        "status": error.status,
    }
    if isinstance(error, NotAuthenticatedError):
        body["detail"] = "Your AccountSid or AuthToken was incorrect."
    pointers = {"parameter": error.parameter, **error.details}
    details = {key: value for key, value in pointers.items() if value is not None and key not in SAID_IN_TEXT}
    if details:
        body["details"] = details
    return Response(error.status, JSON, json.dumps(body), headers=_headers(error))


def problem_of(validation: ValidationError, names: Mapping[str, str]) -> ConversationsError:
    """The first problem as an error of the catalogue, named by the parameter it is about.

    `names` are those of the parameters by the fields of the model: of a default, pydantic only knows the field.
    """
    first = validation.errors(include_url=False, include_input=False)[0]
    cause = first.get("ctx", {}).get("error")
    error = cause if isinstance(cause, ConversationsError) else InvalidParameterError()
    top, *rest = first["loc"]
    return error.at(parameter_name([names.get(str(top), top), *rest, *([error.parameter] if error.parameter else [])]))


def parameter_name(location: Sequence[str | int]) -> str:
    """`Participant[3].messaging_binding.address`"""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name and part[0] != "[" else part
    return name


def _headers(error: ConversationsError) -> dict[str, str | list[str]]:
    if isinstance(error, NotAuthenticatedError):
        return {"WWW-Authenticate": 'Basic realm="Twilio API"'}
    return {}
