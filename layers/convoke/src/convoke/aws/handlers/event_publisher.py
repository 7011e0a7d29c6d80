"""The Lambda handler for the table's stream.

aws/handlers/batches.py handles a record that cannot be read. The event source mapping in template.yaml sets how often
Lambda retries the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ValidationError

from convoke.aws.handlers.batches import batch_handler
from convoke.storage.events import change_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for records of the table's stream. Each record contains one change and its events."""
    bus = edges.event_bus

    def publish(record: DynamoDBRecord) -> None:
        image = record.dynamodb.new_image if record.dynamodb else None
        if image:
            try:
                change = change_of(dict(image))
            except ValidationError:
                # The stream would deliver the record, and every later record of the shard, again for a day. The change
                # stays on the ledger.
                edges.logger.exception("a change cannot be published", extra={"change_sid": image.get("sid")})
                return
            edges.logger.set_correlation_id(change.sid)
            if change.events:
                bus.publish(change.events)

    return batch_handler(edges, EventType.DynamoDBStreams, publish)
