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

botocore keeps up to ten connections open for reuse, so eight threads never wait for a new connection.
"""


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that processes every due resource and returns how many resources it processed.

    If the event contains a shard, the handler processes only this shard. The schedule sends one event for each shard,
    so that no shard waits for another shard. If the function's time runs out, the next invocation processes the rest.
    """
    operation = Program(edges).sweeper

    def handler(event: AwsEvent, context: LambdaContext) -> int:
        return operation.sweep(
            shards=[event["shard"]] if "shard" in event else keys.DUE_SHARDS,
            threads=SWEEP_THREADS,
            go_on=lambda: context.get_remaining_time_in_millis() > SWEEP_MARGIN_MILLISECONDS,
        )

    return observed(edges, handler)
