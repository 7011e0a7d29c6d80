"""The Lambda handler for the participant queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType

from convoke.aws.handlers.batches import batch_handler
from convoke.domain.provisioning import Provisioning
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that adds participants to new conversations.

    Each queue message contains a `Provisioning`: the participants to add to one conversation.
    """
    adder = Program(edges).participant_adder

    def add(record: SQSRecord) -> None:
        provisioning = Provisioning.model_validate_json(record.body)
        edges.logger.set_correlation_id(provisioning.conversation_sid)
        adder.add(provisioning)

    return batch_handler(edges, EventType.SQS, add)
