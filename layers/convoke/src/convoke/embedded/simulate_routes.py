"""The routes of simulated phones, below `/convoke/v1/Simulate`. simulate_api.py has the handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from convoke.api.requests import CONVOKE_PREFIX
from convoke.api.routes import AccountRoute, Endpoint

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler

SEND = "/Simulate/InboundMessages"

INBOX = "/Simulate/Phones/<number>/Messages"

STATUS = "/Simulate/DeliveryStatus"

PHONE = "/Simulate/Phones/<number>"

METHODS = {STATUS: "POST", PHONE: "POST", SEND: "POST", INBOX: "GET"}


def simulate_routes(load: Callable[[], Mapping[str, Endpoint[AccountHandler]]]) -> tuple[AccountRoute, ...]:
    """Return the routes. `load` returns the handler of each rule. Only the first request calls `load`."""
    loaded = cache(load)

    def endpoint(rule: str) -> Endpoint[AccountHandler]:
        return loaded()[rule]

    return tuple(
        AccountRoute(method, rule, partial(endpoint, rule), CONVOKE_PREFIX) for rule, method in METHODS.items()
    )
