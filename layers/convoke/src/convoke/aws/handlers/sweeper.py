"""The Lambda handler of the sweeper. A schedule calls the handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.program import Program
from convoke.storage import keys

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

SWEEP_MARGIN_MILLISECONDS = 15_000
"""The time before the timeout of the function during which the sweeper starts no further work."""


SWEEP_THREADS = 8
"""The number of resources that one invocation processes at the same time.

botocore keeps at most ten connections open for reuse, so eight threads never wait for a new connection.
"""


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that processes every due resource. The handler returns how many resources it has processed.

    If the event contains a shard, the handler processes only this shard. The schedule sends one event for each shard,
    so that no shard waits for another shard.
    """
    operation = Program(edges).sweeper

    def handler(event: AwsEvent, context: LambdaContext) -> int:
        return operation.sweep(
            shards=[event["shard"]] if "shard" in event else keys.DUE_SHARDS,
            threads=SWEEP_THREADS,
            go_on=lambda: context.get_remaining_time_in_millis() > SWEEP_MARGIN_MILLISECONDS,
        )

    return observed(edges, handler)
