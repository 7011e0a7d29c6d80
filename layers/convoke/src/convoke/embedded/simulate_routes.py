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

THREAD = "/Simulate/Phones/<number>/Thread"

STATUS = "/Simulate/DeliveryStatus"

PHONES = "/Simulate/Phones"

PHONE = "/Simulate/Phones/<number>"

Rule = tuple[str, str]
"""The method and the path of a route."""

RULES: tuple[Rule, ...] = (
    ("POST", STATUS),
    ("POST", PHONE),
    ("POST", SEND),
    ("GET", INBOX),
    ("GET", PHONES),
    ("GET", PHONE),
    ("GET", THREAD),
)


def simulate_routes(load: Callable[[], Mapping[Rule, Endpoint[AccountHandler]]]) -> tuple[AccountRoute, ...]:
    """Return the routes. `load` returns the endpoint of each rule.

    `load` is called only once, at the first use of an endpoint.
    """
    loaded = cache(load)

    def endpoint(rule: Rule) -> Endpoint[AccountHandler]:
        return loaded()[rule]

    return tuple(
        AccountRoute(method, path, partial(endpoint, (method, path)), CONVOKE_PREFIX) for method, path in RULES
    )
