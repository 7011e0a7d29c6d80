"""The resource `/convoke/v1/Clock`: fetch the time of the clock, or move the clock forward.

Only an embedded engine with a movable clock has this resource.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.representations import Representation, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute, Endpoint
from convoke.domain.durations import format_duration
from convoke.domain.errors import InvalidParameterError
from convoke.domain.instants import Clock, Instant
from convoke.embedded.clock import AdvanceResult
from convoke.embedded.controls_api import duration_in, value_of
from convoke.embedded.missing_controls import CLOCK


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
        return json_response(ClockRepresentation(now=now(), url=request.url(CLOCK, CONVOKE_PREFIX)))

    def update(_: Operations, request: Request) -> Response:
        by = duration_in("advance", value_of(request, "Advance"))
        try:
            result = advance(by)
        except OverflowError as error:
            raise InvalidParameterError(
                parameter="advance", wanted="short enough for the clock to stay before the year 10000"
            ) from error
        representation = AdvancedRepresentation(
            now=result.now,
            url=request.url(CLOCK, CONVOKE_PREFIX),
            advanced=format_duration(by),
            sweeps=result.sweeps,
            conversations=result.conversations,
        )
        return json_response(representation)

    return (
        AccountRoute("GET", CLOCK, Endpoint(fetch, FETCH), CONVOKE_PREFIX),
        AccountRoute("POST", CLOCK, Endpoint(update, UPDATE), CONVOKE_PREFIX),
    )
