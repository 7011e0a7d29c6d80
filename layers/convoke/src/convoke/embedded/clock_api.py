"""The resource `/convoke/v1/Clock`. Clients fetch the time of the clock, or move the clock forward.

Only an embedded engine with a movable clock has this resource. The engine on AWS never has this resource.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from convoke.api.contracts import Contract
from convoke.api.errors import JSON
from convoke.api.operations import Operations
from convoke.api.representations import Representation, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute
from convoke.domain.durations import format_duration, parse_duration
from convoke.domain.errors import InvalidParameterError
from convoke.domain.instants import Clock, Instant
from convoke.embedded.clock import AdvanceResult

PATH = "/Clock"


class ClockRepresentation(Representation):
    now: Instant
    url: str


class AdvancedRepresentation(ClockRepresentation):
    advanced: str
    sweeps: int
    conversations: int


FETCH = Contract("Clock", ClockRepresentation)
UPDATE = Contract("Clock", AdvancedRepresentation, errors=(InvalidParameterError,))


def clock_routes(now: Clock, advance: Callable[[timedelta], AdvanceResult]) -> tuple[AccountRoute, ...]:
    """Return the routes of the clock. `advance` moves the clock forward by a duration."""

    def fetch(_: Operations, request: Request) -> Response:
        return json_response(ClockRepresentation(now=now(), url=request.url(PATH, CONVOKE_PREFIX)))

    def update(_: Operations, request: Request) -> Response:
        by = requested_duration(request)
        try:
            result = advance(by)
        except OverflowError as error:
            raise InvalidParameterError(
                parameter="advance", wanted="short enough for the clock to stay before the year 10000"
            ) from error
        representation = AdvancedRepresentation(
            now=result.now,
            url=request.url(PATH, CONVOKE_PREFIX),
            advanced=format_duration(by),
            sweeps=result.sweeps,
            conversations=result.conversations,
        )
        return json_response(representation)

    return AccountRoute("GET", PATH, fetch, FETCH, CONVOKE_PREFIX), AccountRoute(
        "POST", PATH, update, UPDATE, CONVOKE_PREFIX
    )


def requested_duration(request: Request) -> timedelta:
    """Return the duration from the JSON key `advance` or from the form field `Advance`.

    Raises InvalidParameterError if the duration is missing or invalid.
    """
    text = _advance_in_json(request.body) if _is_json(request) else next(iter(request.form.values("Advance")), None)
    try:
        return parse_duration(text if isinstance(text, str) else "")
    except ValueError as error:
        wanted = "an ISO 8601 duration such as PT10M or P1D"
        raise InvalidParameterError(parameter="advance", wanted=wanted) from error


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def _advance_in_json(body: bytes) -> object:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise InvalidParameterError(parameter="body", wanted='a JSON object such as {"advance": "PT10M"}') from error
    return parsed.get("advance") if isinstance(parsed, dict) else None
