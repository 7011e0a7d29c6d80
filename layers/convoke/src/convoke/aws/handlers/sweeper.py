"""The Lambda handler of the sweeper. A schedule calls the handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

SWEEP_MARGIN_MILLISECONDS = 15_000
"""The time before the timeout of the function in which the sweeper starts no further work."""


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that processes every conversation that is due now, and returns their number."""
    operation = Program(edges).sweeper

    def handler(_: AwsEvent, context: LambdaContext) -> int:
        return operation.sweep(go_on=lambda: context.get_remaining_time_in_millis() > SWEEP_MARGIN_MILLISECONDS)

    return observed(edges, handler)
