"""The parts that the handlers of all functions share: their types, and the logs and metrics of one invocation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

AwsEvent = dict[str, Any]
Handler = Callable[[AwsEvent, "LambdaContext"], Any]


def observed(edges: AwsEdges, handler: Handler) -> Handler:
    """Wrap `handler` so that each log line names its invocation, and so that each invocation writes its metrics."""
    logger, metrics = edges.logger, edges.metrics

    # clear_state removes the correlation ID that the previous invocation of this environment set.
    @logger.inject_lambda_context(clear_state=True)
    def observed_handler(event: AwsEvent, context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        finally:
            # The embedded metric format is a log line. A failed invocation has counted things, too.
            metrics.flush()

    return observed_handler
