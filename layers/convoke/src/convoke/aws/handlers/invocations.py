"""Define the types of Lambda handlers. Add logs and metrics to a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

AwsEvent = dict[str, Any]
Handler = Callable[[AwsEvent, "LambdaContext"], Any]


def observed(edges: AwsEdges, handler: Handler) -> Handler:
    """Return a handler that calls `handler`, adds the request ID to each log line, and writes the metrics."""
    logger, metrics = edges.logger, edges.metrics

    # `clear_state` removes the correlation ID that the previous invocation in this environment set.
    @logger.inject_lambda_context(clear_state=True)
    def observed_handler(event: AwsEvent, context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        finally:
            # Write the metrics even if the invocation failed, because it may have recorded metrics before the failure.
            metrics.flush()

    return observed_handler
