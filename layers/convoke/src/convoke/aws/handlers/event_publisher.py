"""The Lambda handler for the table's stream: publish the events of each change.

The event source mapping in template.yaml sets the number of retries of a record. See
docs/decisions/0076-unreadable-changes.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType

from convoke.aws.handlers.batches import batch_handler
from convoke.storage.events import UnreadableChangeError, change_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for records of the table's stream. Each record contains one change and its events.

    If a record cannot be parsed, the handler adds a dead letter and continues with the next record. After any other
    failure, Lambda delivers the failed record and all later records of the batch again.
    """
    bus, logger = edges.event_bus, edges.logger

    def publish(record: DynamoDBRecord) -> None:
        image = record.dynamodb.new_image if record.dynamodb else None
        if not image:
            return
        try:
            change = change_of(dict(image))
        except UnreadableChangeError as error:
            logger.exception("a change cannot be published", extra={"change_sid": error.change.change_sid})
            edges.change_dead_letter_queue.send(error.change.model_dump_json())
            return
        logger.set_correlation_id(change.sid)
        if change.events:
            bus.publish(change.events)

    return batch_handler(edges, EventType.DynamoDBStreams, publish)
