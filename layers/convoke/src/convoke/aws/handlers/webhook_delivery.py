"""The handler of the webhook delivery function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter

from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler of messages from the delivery queue.

    A message is an event, which is split into one message for each target, or one delivery to a target. Events arrive
    from the rule on the bus in EventBridge's envelope, and from a replay without the envelope.
    """
    webhook_delivery = Program(edges).webhook_delivery
    queue, dead_letters = edges.delivery_queue, edges.delivery_dead_letter_queue
    # Bodies contain personal data, and validation errors are logged.
    config = ConfigDict(hide_input_in_errors=True)
    message_type: TypeAdapter[Delivery | Event | BusEvent] = TypeAdapter(Delivery | Event | BusEvent, config=config)

    def deliver(record: SQSRecord) -> None:
        match message_type.validate_json(record.body):
            case BusEvent(detail=event) | (Event() as event):
                edges.logger.set_correlation_id(event.id)
                webhook_delivery.split(event)
            case Delivery() as delivery:
                edges.logger.set_correlation_id(delivery.event.id)
                try:
                    webhook_delivery.deliver(delivery, int(record.attributes.approximate_receive_count))
                except RetryLaterError as error:
                    # Reporting the record as failed makes SQS send it again, after the pause that is set here.
                    queue.postpone(record.receipt_handle, error.seconds)
                    raise
                except DeliveryFailedError:
                    # Copied to the dead-letter queue at once: SQS itself moves a message there only after the maximum
                    # number of receives.
                    dead_letters.send(record.body)

    return batch_handler(edges, EventType.SQS, deliver, expected_error=RetryLaterError)
