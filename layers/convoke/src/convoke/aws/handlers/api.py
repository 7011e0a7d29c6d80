"""The Lambda handler for HTTP requests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from snapshot_restore_py import register_before_snapshot

from convoke.api.dispatch import request_id
from convoke.api.operations import Operations
from convoke.api.resolver import resolver_of
from convoke.api.routes import ROUTES, Route
from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

FREQUENT = ("conversation_with_participants", "conversations", "messages", "participants")
"""The resources that the cold start imports, because most first requests need one of them.

An import is faster during a cold start than during a request, because Lambda gives the function more CPU during a cold
start.
"""

NEEDED_BY_ALL = ("accounts", "services")
"""The operations that most requests need: to authenticate the account, and to find the service."""

OPERATIONS = tuple(name for name, member in vars(Operations).items() if isinstance(member, property))


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that answers HTTP requests."""
    program = Program(edges)
    resolver = resolver_of(program.api)
    _load(program, [route for route in ROUTES if route.resource in FREQUENT], (*FREQUENT, *NEEDED_BY_ALL))
    register_before_snapshot(partial(_load, program, ROUTES, OPERATIONS))

    def handler(event: AwsEvent, context: LambdaContext) -> Any:
        # With the id in the response header Twilio-Request-Id, an operator can find the log lines of the request.
        edges.logger.set_correlation_id(request_id(context))
        return resolver.resolve(event, context)

    return observed(edges, handler)


def _load(program: Program, routes: Iterable[Route], operations: Iterable[str]) -> None:
    """Import the handlers of the routes, and build the operations with these names."""
    for route in routes:
        route.load()
    for name in operations:
        getattr(program, name)
