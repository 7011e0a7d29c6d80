"""Answer 404 to requests for the test controls and the clock, on an instance without these resources.

See `controls_api.py` and `clock_api.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from convoke.api.contracts import Contract
from convoke.api.errors import render
from convoke.api.operations import Operations
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute, Endpoint
from convoke.domain.errors import NotFoundError

CLOCK, RESET, ACCOUNTS, SETTLE, FAILURES = "/Clock", "/Reset", "/Accounts", "/Settle", "/Failures"

CLOCK_OPTION, CONTROLS_OPTION = "--test-clock", "--test-controls"

CONTRACT = Contract("TestControl", None, statuses=())
"""The contract of the routes. `/openapi.json` omits routes without a successful status."""


def missing_routes(paths: tuple[str, ...], option: str) -> tuple[AccountRoute, ...]:
    """Return routes that answer 404.

    The error message names `option`, the option of `convoke up` with which the instance would serve these paths.
    """

    def refusal(path: str) -> Callable[[Operations, Request], Response]:
        message = f"The requested resource {CONVOKE_PREFIX}{path} was not found: start `convoke up` with {option}"
        return lambda _, __: render(NotFoundError(), message)

    return tuple(
        AccountRoute(method, path, Endpoint(refusal(path), CONTRACT), CONVOKE_PREFIX)
        for path in paths
        for method in ("GET", "POST", "DELETE")
    )
