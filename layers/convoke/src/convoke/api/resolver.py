"""Powertools' resolver, made safe for concurrent requests.

The original keeps the current request on the class, because a Lambda instance serves one request at a time. The
embedded engine serves many at the same time, so this resolver keeps the request in a context variable. In addition, a
path value may contain any character except a slash.
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
class _CurrentRequest:
    """The attributes of the resolver that belong to one request."""

    current_event: APIGatewayProxyEventV2
    lambda_context: LambdaContext
    context: dict[str, Any] = field(default_factory=dict)


_current_request: ContextVar[_CurrentRequest] = ContextVar("current_request")


class _PerRequest:
    """A descriptor that reads an attribute of the current request."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, resolver: object, owner: type) -> Any:
        return getattr(_current_request.get(), self._name)

    def __set__(self, resolver: object, value: object) -> None:
        """Ignore the value: the base class sets its context in `__init__`, where there is no request yet."""


class ConcurrentResolver(APIGatewayHttpResolver):
    """An APIGatewayHttpResolver that any number of threads may call at once."""

    current_event: Any = _PerRequest("current_event")
    lambda_context: Any = _PerRequest("lambda_context")
    context: Any = _PerRequest("context")

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        token = _current_request.set(_CurrentRequest(APIGatewayProxyEventV2(dict(event)), context))
        try:
            return self._build_response(self._resolve())
        finally:
            _current_request.reset(token)

    def allowed_methods(self, path: str) -> set[str]:
        """Return the methods of all routes that match `path`."""
        routes = [*self._static_routes, *self._dynamic_routes]
        return {route.method for route in routes if route.rule.match(path)}

    def build_middleware_stacks(self) -> None:
        """Build the middleware stack of every route. Call this after the last route is registered.

        The base class builds a stack at the first request of its route. Two concurrent first requests would wrap the
        handler twice.
        """
        for route in [*self._static_routes, *self._dynamic_routes]:
            route._build_middleware_stack(self._router_middlewares, self)  # noqa: SLF001

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = r"^{}$") -> re.Pattern[str]:
        """Match any text between two slashes as a path value: unique names may contain emoji, `#`, `?` and quotes."""
        return re.compile(base_regex.format(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", rule)), re.DOTALL)

    def _push_processed_stack_frame(self, frame: str) -> None:
        """Do nothing: the base class keeps one list for all requests, for its debug mode."""

    def _reset_processed_stack(self) -> None:
        """Do nothing. See `_push_processed_stack_frame`."""
