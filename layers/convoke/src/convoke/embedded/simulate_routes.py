"""The routes of simulated phones, below `/convoke/v1/Simulate`. Only the first request imports the handlers.

The handlers and their models take 5 % of the instructions of a start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from convoke.api.requests import CONVOKE_PREFIX
from convoke.api.routes import AccountRoute, Endpoint

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler
    from convoke.embedded.simulated_carrier import PhonePlans
    from convoke.operations.simulator import SimulatorOperations

SEND = "/Simulate/InboundMessages"

INBOX = "/Simulate/Phones/<number>/Messages"

STATUS = "/Simulate/DeliveryStatus"

PHONE = "/Simulate/Phones/<number>"

METHODS = {STATUS: "POST", PHONE: "POST", SEND: "POST", INBOX: "GET"}


def simulate_routes(simulator: Callable[[], SimulatorOperations], plans: PhonePlans) -> tuple[AccountRoute, ...]:
    """Return the routes of simulated phones."""

    @cache
    def endpoints() -> Mapping[str, Endpoint[AccountHandler]]:
        from convoke.embedded.simulate_api import simulate_endpoints  # noqa: PLC0415 - see the docstring of the module

        return simulate_endpoints(simulator, plans)

    def endpoint(rule: str) -> Endpoint[AccountHandler]:
        return endpoints()[rule]

    return tuple(
        AccountRoute(method, rule, partial(endpoint, rule), CONVOKE_PREFIX) for rule, method in METHODS.items()
    )
