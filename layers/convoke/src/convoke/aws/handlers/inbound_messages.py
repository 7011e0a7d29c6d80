"""The Lambda handler for the SNS topic on which AWS End User Messaging SMS publishes messages and delivery events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.domain.aws_messages import inbound_message
from convoke.domain.aws_statuses import copy_in, outcome_in
from convoke.program import Program
from convoke.storage.senders import SenderRepository

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for messages from phones, and for delivery events, which report the statuses of copies.

    If the handler fails, Lambda retries the invocation. After the last retry, Lambda sends the input of the failed
    invocation to the dead-letter queue.
    """
    program = Program(edges)
    operation, senders = program.carrier_messages, SenderRepository(edges.table)

    def handler(event: AwsEvent, _: LambdaContext) -> None:
        for record in event["Records"]:
            payload = json.loads(record["Sns"]["Message"])
            if "eventType" in payload:
                record_outcome(program, payload)
            else:
                operation.receive(payload, inbound_message, senders.fetch_by_address)

    return observed(edges, handler)


def record_outcome(program: Program, event: dict[str, Any]) -> None:
    """Record the outcome that a delivery event reports for a copy.

    Ignore an event without an outcome, and an event for a message that Convoke did not send.
    """
    copy, outcome = copy_in(event), outcome_in(event)
    if copy and outcome:
        program.copy_statuses.record(copy, outcome.status, outcome.entry)
