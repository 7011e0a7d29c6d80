"""The Lambda handler of the sweeper. A schedule invokes the function every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.program import Program
from convoke.storage import keys

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

SWEEP_MARGIN_MILLISECONDS = 15_000
"""The sweeper starts no further work if less than this time is left before the function's timeout."""


SWEEP_THREADS = 8
"""The maximum number of resources that one invocation processes at the same time.

botocore keeps up to ten connections open, so each of eight threads can reuse a connection.
"""


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that processes the due resources and returns how many resources it processed.

    If the event names a shard of the index `due`, the handler processes only this shard. The schedule sends one event
    for each shard, so that a backlog in one shard does not delay the rest. If the function's time runs out, the next
    invocation processes the remaining resources.
    """
    operation = Program(edges).sweeper

    def handler(event: AwsEvent, context: LambdaContext) -> int:
        return operation.sweep(
            shards=[event["shard"]] if "shard" in event else keys.DUE_SHARDS,
            threads=SWEEP_THREADS,
            go_on=lambda: context.get_remaining_time_in_millis() > SWEEP_MARGIN_MILLISECONDS,
        )

    return observed(edges, handler)
