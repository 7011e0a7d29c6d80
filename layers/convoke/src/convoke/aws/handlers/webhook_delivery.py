"""The Lambda handler for the delivery queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError, own_failure_pause_seconds
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for queue messages of the delivery queue.

    A queue message is an event or a delivery. The handler splits an event into one delivery for each target. The
    handler makes one attempt for a delivery.

    Events from the bus are in EventBridge's envelope. Events from a message replay have no envelope.
    """
    webhook_delivery = Program(edges).webhook_delivery
    queue, dead_letters = edges.delivery_queue, edges.delivery_dead_letter_queue
    # Validation errors are logged. They must not contain their input, because queue messages contain personal data.
    config = ConfigDict(hide_input_in_errors=True)
    message_type: TypeAdapter[Delivery | Event | BusEvent] = TypeAdapter(Delivery | Event | BusEvent, config=config)

    def deliver(record: SQSRecord) -> None:
        try:
            message = parsed(record.body)
        except ValidationError:
            edges.logger.exception("a queue message is malformed and was given up")
            dead_letters.send(record.body)
            return
        number = int(record.attributes.approximate_receive_count)
        try:
            process(message, number)
        except RetryLaterError as error:
            # The exception marks the record as failed. SQS delivers the record again after `error.seconds`.
            queue.postpone(record.receipt_handle, error.seconds)
            raise
        except DeliveryFailedError:
            # Copy the queue message to the dead-letter queue now. SQS itself would move the queue message only after
            # the maximum number of receives.
            dead_letters.send(record.body)
        except Exception:
            pause = own_failure_pause_seconds(number)
            if pause is not None:
                queue.postpone(record.receipt_handle, pause)
                raise
            edges.logger.exception("a queue message was given up after failures of Convoke")
            webhook_delivery.report_own_failure(message, number)
            dead_letters.send(record.body)

    def parsed(body: str) -> Delivery | Event:
        message = message_type.validate_json(body)
        return message.detail if isinstance(message, BusEvent) else message

    def process(message: Delivery | Event, number: int) -> None:
        if isinstance(message, Event):
            edges.logger.set_correlation_id(message.id)
            webhook_delivery.split(message)
        else:
            edges.logger.set_correlation_id(message.event.id)
            webhook_delivery.deliver(message, number)

    return batch_handler(edges, EventType.SQS, deliver, expected_error=RetryLaterError)
