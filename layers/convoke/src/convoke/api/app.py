"""The API: a gateway event in, a gateway answer out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError
from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.api.auth import credentials
from convoke.api.errors import render
from convoke.api.operations import Operations
from convoke.api.requests import TWILIO_PREFIX, Request, ServiceRequest
from convoke.api.resolver import ConcurrentResolver
from convoke.api.routes import (
    ACCOUNT_ROUTES,
    PUBLIC_ROUTES,
    SERVICE_ROUTES,
    AccountRoute,
    PublicRoute,
    ServiceRoute,
)
from convoke.domain.accounts import Account
from convoke.domain.errors import ConversationsError, InternalError, MethodNotAllowedError, NotFoundError

logger = logging.getLogger(__name__)

PUBLIC_PATHS = frozenset(route.rule for route in PUBLIC_ROUTES)

Handler = Callable[..., Response[str]]


class Api:
    """Answers gateway events. Any number of threads may call `resolve` at once."""

    def __init__(self, operations: Operations, extra_routes: Sequence[AccountRoute] = ()) -> None:
        """`extra_routes` are those of one engine only, which `/openapi.json` does not tell of."""
        self._operations = operations
        self._resolver = ConcurrentResolver()
        self._resolver.use([_authenticated_by(operations)])
        self._resolver.not_found(self._no_route)
        self._resolver.exception_handler(ConversationsError)(render)
        self._resolver.exception_handler(NotFoundError)(self._not_found)
        self._resolver.exception_handler(Exception)(self._unforeseen)
        for public_route in PUBLIC_ROUTES:
            self._register(public_route, self._public_handler(public_route))
        for account_route in (*ACCOUNT_ROUTES, *extra_routes):
            self._register(account_route, self._account_handler(account_route))
        for service_route in SERVICE_ROUTES:
            self._register(service_route, self._service_handler(service_route))
        self._resolver.build_middleware_stacks()

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one request."""
        answered = self._resolver.resolve(event, context)
        answered["headers"]["Twilio-Request-Id"] = request_id(context)
        return answered

    def _register(self, route: PublicRoute | AccountRoute | ServiceRoute, handler: Handler) -> None:
        for rule in route.rules:
            self._resolver.route(rule, route.method)(handler)

    def _no_route(self, _: NoRouteError) -> Response[str]:
        allowed = self._resolver.methods_of(self._resolver.current_event.raw_path)
        if not allowed:
            return self._not_found(NotFoundError())
        refused = render(MethodNotAllowedError())
        refused.headers["Allow"] = ", ".join(sorted(allowed))
        return refused

    def _not_found(self, error: NotFoundError) -> Response[str]:
        """Names the path as the client spelled it, without Twilio's version (reference, c.1 and h 15)."""
        path = self._resolver.current_event.raw_path.removeprefix(TWILIO_PREFIX) or "/"
        return render(error, f"The requested resource {path} was not found")

    def _unforeseen(self, error: Exception) -> Response[str]:
        """A crash inside is told by the id under which it is logged, and nothing else."""
        identified = request_id(self._resolver.lambda_context)
        logger.error("a request failed", exc_info=error, extra={"request_id": identified})
        return render(InternalError(request_id=identified))

    def _public_handler(self, route: PublicRoute) -> Handler:
        def handler() -> Response[str]:
            return route.handler(self._resolver.current_event.raw_event)

        return handler

    def _account_handler(self, route: AccountRoute) -> Handler:
        def handler(**path: str) -> Response[str]:
            return route.handler(self._operations, Request(*self._caller()), **path)

        return handler

    def _service_handler(self, route: ServiceRoute) -> Handler:
        def handler(chat_service_sid: str | None = None, **path: str) -> Response[str]:
            event, account = self._caller()
            named = chat_service_sid or account.default_chat_service_sid
            service = self._operations.services.fetch(account.sid, named)
            short, seconds_left = chat_service_sid is None, self._seconds_left
            request = ServiceRequest(event, account, service, short=short, seconds_left=seconds_left)
            return route.handler(self._operations, request, **path)

        return handler

    def _caller(self) -> tuple[Mapping[str, Any], Account]:
        account: Account = self._resolver.context["account"]
        return self._resolver.current_event.raw_event, account

    def _seconds_left(self) -> float:
        context: LambdaContext = self._resolver.lambda_context
        return context.get_remaining_time_in_millis() / 1000


def _authenticated_by(operations: Operations) -> Callable[[ConcurrentResolver, Handler], Response[str]]:
    """A plain function, as Powertools remembers on it what parameters it takes; a bound method is asked every time."""

    def authenticate(app: ConcurrentResolver, next_middleware: Handler) -> Response[str]:
        """Comes before everything else, unknown paths included (reference, b.7 step 1)."""
        if app.current_event.raw_path not in PUBLIC_PATHS:
            headers = app.current_event.raw_event.get("headers") or {}
            app.context["account"] = operations.accounts.authenticate(*credentials(headers))
        return next_middleware(app)

    return authenticate


def request_id(context: LambdaContext) -> str:
    """Lambda's own id of the request in Twilio's form, so that an answer leads to its logs."""
    return "RQ" + context.aws_request_id.replace("-", "")
