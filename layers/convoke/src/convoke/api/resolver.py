"""Powertools' resolver, made safe for requests that overlap.

The stock resolver keeps the request on the class, as one Lambda instance answers one request at a time; the embedded
engine answers many at once. Here the request lives in a context variable, and a path value may hold any character but
a slash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(slots=True)
class _Held:
    """What the resolver knows of the request it is answering."""

    current_event: APIGatewayProxyEventV2
    lambda_context: LambdaContext
    context: dict[str, Any] = field(default_factory=dict)


_held: ContextVar[_Held] = ContextVar("held")


class _PerRequest:
    """An attribute of the resolver that belongs to the request of the moment."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, resolver: object, owner: type) -> Any:
        return getattr(_held.get(), self._name)

    def __set__(self, resolver: object, value: object) -> None:
        """The base class sets its context as it is made; there is no request yet to keep it for."""


class ConcurrentResolver(APIGatewayHttpResolver):
    """An APIGatewayHttpResolver that any number of threads may call at once."""

    current_event: Any = _PerRequest("current_event")
    lambda_context: Any = _PerRequest("lambda_context")
    context: Any = _PerRequest("context")

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        token = _held.set(_Held(APIGatewayProxyEventV2(dict(event)), context))
        try:
            return self._build_response(self._resolve())
        finally:
            _held.reset(token)

    def methods_of(self, path: str) -> set[str]:
        """The methods that some route answers on `path`."""
        routes = [*self._static_routes, *self._dynamic_routes]
        return {route.method for route in routes if route.rule.match(path)}

    def build_middleware_stacks(self) -> None:
        """To be called once all routes are there: the base class does it at the first request, whichever that is."""
        for route in [*self._static_routes, *self._dynamic_routes]:
            route._build_middleware_stack(self._router_middlewares, self)  # noqa: SLF001

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = r"^{}$") -> re.Pattern[str]:
        """A path value is whatever stands between two slashes: unique names hold emoji, `#`, `?` and quotes."""
        return re.compile(base_regex.format(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", rule)), re.DOTALL)

    def _push_processed_stack_frame(self, frame: str) -> None:
        """Kept by the base class for its debug mode, in one list for all requests."""

    def _reset_processed_stack(self) -> None:
        """See `_push_processed_stack_frame`."""
