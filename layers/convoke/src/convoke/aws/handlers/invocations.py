"""Define the types of Lambda handlers, and add logs and metrics to a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

AwsEvent = dict[str, Any]
Handler = Callable[[AwsEvent, "LambdaContext"], Any]


def observed(edges: AwsEdges, handler: Handler) -> Handler:
    """Wrap a handler: add the request id to each log line, and write the metrics after each invocation."""
    logger, metrics = edges.logger, edges.metrics

    # `clear_state` removes the correlation id of the previous invocation.
    @logger.inject_lambda_context(clear_state=True)
    def observed_handler(event: AwsEvent, context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        finally:
            # Write the metrics even after an exception, because the handler may have recorded metrics before it.
            metrics.flush()

    return observed_handler
