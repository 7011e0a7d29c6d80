"""The Lambda handler for HTTP requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convoke.api.dispatch import request_id
from convoke.api.resolver import resolver_of
from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that answers HTTP requests."""
    resolver = resolver_of(Program(edges).api)

    def handler(event: AwsEvent, context: LambdaContext) -> Any:
        # The response header Twilio-Request-Id contains the same id, so an operator can find the log lines of a
        # response.
        edges.logger.set_correlation_id(request_id(context))
        return resolver.resolve(event, context)

    return observed(edges, handler)
