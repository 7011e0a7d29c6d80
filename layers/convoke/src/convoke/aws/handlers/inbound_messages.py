"""The Lambda handler of the topic to which AWS End User Messaging SMS publishes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.domain.aws_messages import inbound_message
from convoke.program import Program
from convoke.storage.senders import SenderRepository

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that stores the messages of phones in their conversations.

    If the handler fails, Lambda repeats the invocation, and then sends the event to the dead-letter queue.
    """
    program = Program(edges)
    operation, senders = program.carrier_messages, SenderRepository(edges.table)

    def handler(event: AwsEvent, _: LambdaContext) -> None:
        for record in event["Records"]:
            operation.receive(json.loads(record["Sns"]["Message"]), inbound_message, senders.fetch_by_address)

    return observed(edges, handler)
