"""Find the route for a request, authenticate the caller and call the handler. Both engines use this module.

docs/behaviour/requests-and-answers.md#order-of-checks documents the order of the checks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from convoke.api.callers import Caller, caller_of
from convoke.api.deferred import Deferred
from convoke.api.errors import render
from convoke.api.operations import Operations
from convoke.api.requests import TWILIO_PREFIX, CarrierRequest, InvocationContext, Request, ServiceRequest, base_url
from convoke.api.responses import Response
from convoke.api.routes import (
    ACCOUNT_ROUTES,
    PUBLIC_ROUTES,
    ROUTES,
    SERVICE_ROUTES,
    AccountRoute,
    CarrierRoute,
    PublicRoute,
    Route,
    ServiceRoute,
)
from convoke.api.routing import RoutingTree
from convoke.api.uploads import Upload
from convoke.domain.errors import ConversationsError, InternalError, MethodNotAllowedError, NotFoundError

if TYPE_CHECKING:
    from convoke.api.resources.description import Document

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]

Answer = Response | Deferred | Upload

Handler = Callable[[Event, InvocationContext, Any, dict[str, str]], Answer]
"""The arguments are the event, the context, the caller and the path parameters.

The caller is None for a PublicRoute and for a CarrierRoute.
"""


class Dispatcher:
    """Finds the route for each gateway event and calls the route's handler.

    Several threads may use one dispatcher at the same time.
    """

    def __init__(
        self,
        operations: Operations,
        extra_routes: Sequence[Route] = (),
        path_delimiters: str = "",
        public_url: str | None = None,
        console_poll_seconds: int | None = None,
    ) -> None:
        """Build the routing tree.

        - `extra_routes`: the routes that only one engine has, and the routes that carriers call.
        - `path_delimiters`: the characters that new unique names, identities and addresses of address configurations
          must not contain. See domain/names.py.
        - `public_url`: the base URL of the API in all links to the API. If None, the headers of each request determine
          the base URL.
        - `console_poll_seconds`: how many seconds the console waits between two requests for new events. If None, the
          dispatcher does not serve the console.
        """
        self._operations = operations
        self._path_delimiters = path_delimiters
        self._public_url = public_url
        self._console_poll_seconds = console_poll_seconds
        self._extra_routes = extra_routes
        self._described: str | None = None
        self._root: RoutingTree[Handler] = RoutingTree()
        routes: tuple[Route, ...] = (*PUBLIC_ROUTES, *ACCOUNT_ROUTES, *extra_routes, *SERVICE_ROUTES)
        for route in routes:
            handler = self._handler(route)
            for rule in route.rules:
                self._root.add(route.method, rule, handler, is_public=isinstance(route, PublicRoute | CarrierRoute))

    def answer(self, event: Event, context: InvocationContext) -> Answer:
        """Return the answer to a request.

        Every `Exception` becomes an error response. A BaseException that is not an `Exception`, such as
        KeyboardInterrupt, propagates.
        """
        path: str = event["rawPath"]
        try:
            return self._answered(path, event, context)
        except NotFoundError as error:
            # The error message shows the requested path without Twilio's version prefix.
            named = path.removeprefix(TWILIO_PREFIX) or "/"
            return render(error, f"The requested resource {named} was not found")
        except ConversationsError as error:
            return render(error)
        except Exception:
            # The response reveals only the request id, with which an operator finds the log entry of the failure.
            identified = request_id(context)
            logger.exception("a request failed", extra={"request_id": identified})
            return render(InternalError(request_id=identified))

    def rule_of(self, path: str) -> str | None:
        """Return the rule of the route that matches a path, such as `/v1/Services/<sid>`.

        Return None if no route matches.
        """
        node = self._root.find(path, [])
        return node.rule if node else None

    def is_public(self, path: str) -> bool:
        """Return whether requests to a path need no credentials."""
        node = self._root.find(path, [])
        return node is not None and node.is_public

    def _answered(self, path: str, event: Event, context: InvocationContext) -> Answer:
        if self._console_poll_seconds is not None and (path == "/" or path.startswith("/console")):
            page = self._console_page(path, event, self._console_poll_seconds)
            if page is not None:
                return page
        caller, values = None, list[str]()
        node = self._root.find(path, values)
        if node is None or not node.is_public:
            # Authenticate first. A client without credentials must not learn which paths exist.
            caller = caller_of(self._operations, event)
        if node is None:
            raise NotFoundError
        found = node.methods.get(event["requestContext"]["http"]["method"])
        if found is None:
            refused = render(MethodNotAllowedError())
            refused.headers["Allow"] = ", ".join(sorted(node.methods))
            return refused
        handler, names = found
        return handler(event, context, caller, dict(zip(names, values, strict=True)))

    def _console_page(self, path: str, event: Event, poll_seconds: int) -> Response | None:
        # Import here, because an import at the top would slow every cold start. Few requests are for the console.
        from convoke.api.console import page  # noqa: PLC0415 - see above

        rules = [route.rule for route in (*ROUTES, *self._described_routes())]
        return page(path, event, poll_seconds, rules, self._public_url)

    def _described_routes(self) -> tuple[Route, ...]:
        """Return the extra routes that the OpenAPI document describes.

        The document omits the routes that carriers call, and the routes of disabled features, which always return 404.
        The contracts of these routes have no successful status.
        """
        return tuple(route for route in self._extra_routes if route.contract.statuses)

    def _handler(self, route: Route) -> Handler:
        if isinstance(route, PublicRoute):
            return self._public_handler(route)
        if isinstance(route, CarrierRoute):
            return self._carrier_handler(route)
        return self._account_handler(route) if isinstance(route, AccountRoute) else self._service_handler(route)

    def _document(self, event: Event) -> Document:
        """Return the OpenAPI document of the API.

        The first call generates the document without the base URL. Every call adds the base URL.
        """
        # Import here, because the import of pydantic's JSON Schema generator would slow every cold start. Few clients
        # request the document.
        from convoke.api.openapi import members  # noqa: PLC0415 - see above
        from convoke.api.resources.description import document_of  # noqa: PLC0415 - see above

        if self._described is None:
            self._described = members(self._described_routes())
        return document_of(self._described, base_url(event, self._public_url))

    def _public_handler(self, route: PublicRoute) -> Handler:
        def handler(event: Event, _: InvocationContext, __: Any, ___: dict[str, str]) -> Response:
            return route.handler(event, partial(self._document, event))

        return handler

    def _carrier_handler(self, route: CarrierRoute) -> Handler:
        def handler(event: Event, _: InvocationContext, __: Any, values: dict[str, str]) -> Response:
            return route.handler(CarrierRequest(event, public_url=self._public_url), **values)

        return handler

    def _account_handler(self, route: AccountRoute) -> Handler:
        def handler(event: Event, _: InvocationContext, caller: Caller, values: dict[str, str]) -> Response | Upload:
            request = Request(
                event,
                caller.account,
                identity=caller.identity,
                path_delimiters=self._path_delimiters,
                public_url=self._public_url,
            )
            return route.handler(self._operations, request, **values)

        return handler

    def _service_handler(self, route: ServiceRoute) -> Handler:
        operations = self._operations

        def handler(
            event: Event, context: InvocationContext, caller: Caller, values: dict[str, str]
        ) -> Response | Deferred:
            account = caller.account
            named = values.pop("chat_service_sid", None)
            service = operations.services.fetch(account.sid, named or account.default_chat_service_sid)

            def seconds_left() -> float:
                return context.get_remaining_time_in_millis() / 1000

            request = ServiceRequest(
                event,
                account,
                service,
                service_in_path=named is not None,
                public_url=self._public_url,
                path_delimiters=self._path_delimiters,
                seconds_left=seconds_left,
            )
            return route.handler(operations, request, **values)

        return handler


def request_id(context: InvocationContext) -> str:
    """Return the id of a request in Twilio's format: `RQ` and 32 hexadecimal digits.

    On AWS, all log entries that Convoke writes during the request contain this id. On the embedded engine, only the log
    entries about failures contain this id.
    """
    return "RQ" + context.aws_request_id.replace("-", "")
