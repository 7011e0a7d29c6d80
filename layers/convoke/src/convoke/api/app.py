"""The API: resolves an API Gateway event (payload format 2.0) to a response for the gateway."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError
from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.api.auth import basic_credentials
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
    """The HTTP API. Any number of threads may call `resolve` at the same time."""

    def __init__(self, operations: Operations, extra_routes: Sequence[AccountRoute] = ()) -> None:
        """`extra_routes` are routes of one engine only. `/openapi.json` does not describe them."""
        self._operations = operations
        self._resolver = ConcurrentResolver()
        self._resolver.use([_authentication_middleware(operations)])
        self._resolver.not_found(self._no_route)
        self._resolver.exception_handler(ConversationsError)(render)
        self._resolver.exception_handler(NotFoundError)(self._not_found)
        self._resolver.exception_handler(Exception)(self._internal_error)
        for public_route in PUBLIC_ROUTES:
            self._register(public_route, self._public_handler(public_route))
        for account_route in (*ACCOUNT_ROUTES, *extra_routes):
            self._register(account_route, self._account_handler(account_route))
        for service_route in SERVICE_ROUTES:
            self._register(service_route, self._service_handler(service_route))
        self._resolver.build_middleware_stacks()

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Return the gateway's response to one request.

        The steps are: authenticate, find the route, fetch the service, call the handler. The handler parses the form
        and calls the operation. `errors.render` renders every error.
        """
        response = self._resolver.resolve(event, context)
        response["headers"]["Twilio-Request-Id"] = request_id(context)
        return response

    def _register(self, route: PublicRoute | AccountRoute | ServiceRoute, handler: Handler) -> None:
        for rule in route.rules:
            self._resolver.route(rule, route.method)(handler)

    def _no_route(self, _: NoRouteError) -> Response[str]:
        allowed = self._resolver.allowed_methods(self._resolver.current_event.raw_path)
        if not allowed:
            return self._not_found(NotFoundError())
        response = render(MethodNotAllowedError())
        response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    def _not_found(self, error: NotFoundError) -> Response[str]:
        """Render a 404 that names the path as the client spelled it, without `/v1`.

        See docs/behaviour/requests-and-answers.md#methods-and-unknown-paths.
        """
        path = self._resolver.current_event.raw_path.removeprefix(TWILIO_PREFIX) or "/"
        return render(error, f"The requested resource {path} was not found")

    def _internal_error(self, error: Exception) -> Response[str]:
        """Log an unexpected exception, and answer 500 with the request id only."""
        identifier = request_id(self._resolver.lambda_context)
        logger.error("a request failed", exc_info=error, extra={"request_id": identifier})
        return render(InternalError(request_id=identifier))

    def _public_handler(self, route: PublicRoute) -> Handler:
        def handler() -> Response[str]:
            return route.handler(self._resolver.current_event.raw_event, openapi_document)

        return handler

    def _account_handler(self, route: AccountRoute) -> Handler:
        def handler(**path: str) -> Response[str]:
            return route.handler(self._operations, Request(*self._caller()), **path)

        return handler

    def _service_handler(self, route: ServiceRoute) -> Handler:
        def handler(chat_service_sid: str | None = None, **path: str) -> Response[str]:
            event, account = self._caller()
            service_sid = chat_service_sid or account.default_chat_service_sid
            service = self._operations.services.fetch(account.sid, service_sid)
            request = ServiceRequest(
                event,
                account,
                service,
                service_in_path=chat_service_sid is not None,
                seconds_left=self._seconds_left,
            )
            return route.handler(self._operations, request, **path)

        return handler

    def _caller(self) -> tuple[Mapping[str, Any], Account]:
        account: Account = self._resolver.context["account"]
        return self._resolver.current_event.raw_event, account

    def _seconds_left(self) -> float:
        context: LambdaContext = self._resolver.lambda_context
        return context.get_remaining_time_in_millis() / 1000


def _authentication_middleware(operations: Operations) -> Callable[[ConcurrentResolver, Handler], Response[str]]:
    """Return the middleware that authenticates every request, except those for public paths.

    The middleware is a function because Powertools caches on it which parameters it takes. A bound method is a new
    object each time, so Powertools would inspect it for every request.
    """

    def authenticate(app: ConcurrentResolver, next_middleware: Handler) -> Response[str]:
        # Powertools runs this for unknown paths too: without credentials they answer 401, not 404.
        if app.current_event.raw_path not in PUBLIC_PATHS:
            headers = app.current_event.raw_event.get("headers") or {}
            app.context["account"] = operations.accounts.authenticate(*basic_credentials(headers))
        return next_middleware(app)

    return authenticate


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    # Imported when a client first asks for the document: pydantic's JSON Schema generator would slow every cold start.
    from convoke.api.openapi import document  # noqa: PLC0415 - slow import

    return document()


def request_id(context: LambdaContext) -> str:
    """Return Lambda's request id in Twilio's form (`RQ...`), which leads from a response to its log lines."""
    return "RQ" + context.aws_request_id.replace("-", "")
