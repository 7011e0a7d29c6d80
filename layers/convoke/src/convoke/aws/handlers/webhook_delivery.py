"""The Lambda handler for the delivery queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.aws.deliveries import Deliveries, SharedCircuitBreakers
from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError
from convoke.program import Program
from convoke.storage.circuit_breakers import CircuitBreakerRepository

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.delivery_queue import SqsDeadLetterQueue
    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for queue messages of the delivery queue.

    A queue message is an event or a delivery. The handler splits an event into one delivery for each target. The
    handler makes one attempt for a delivery, unless its receiver is paused.

    Events from the bus are in EventBridge's envelope. Events from a message replay have no envelope.
    """
    webhook_delivery = Program(edges).webhook_delivery
    breakers = SharedCircuitBreakers(CircuitBreakerRepository(edges.table), edges.now)
    deliveries = Deliveries(webhook_delivery, breakers, edges.now)
    queue = edges.delivery_queue
    # Validation errors are logged. They must not contain their input, because queue messages contain personal data.
    config = ConfigDict(hide_input_in_errors=True)
    message_type: TypeAdapter[Delivery | Event | BusEvent] = TypeAdapter(Delivery | Event | BusEvent, config=config)

    def handle(record: SQSRecord) -> None:
        try:
            handle_message(message_type.validate_json(record.body), record)
        except RetryLaterError as error:
            # The exception marks the record as failed. SQS delivers the record again after `error.seconds`.
            queue.postpone(record.receipt_handle, error.seconds)
            raise
        except DeliveryFailedError as error:
            give_up(record, error, edges.delivery_dead_letter_queue)
        except ValidationError as error:
            # This is a failure of Convoke and not of a receiver. An alarm watches the queue of such failures.
            give_up(record, error, edges.delivery_failure_queue)

    def give_up(record: SQSRecord, error: Exception, dead_letters: SqsDeadLetterQueue) -> None:
        # Copy the queue message now. SQS itself would move it only after the maximum number of receives.
        edges.logger.error("a queue message was given up: %s", error)
        dead_letters.send(record.body)

    def handle_message(message: Delivery | Event | BusEvent, record: SQSRecord) -> None:
        match message:
            case BusEvent(detail=event) | (Event() as event):
                edges.logger.set_correlation_id(event.id)
                webhook_delivery.split(event)
            case Delivery() as delivery:
                edges.logger.set_correlation_id(delivery.event.id)
                deliveries.attempt(delivery, int(record.attributes.approximate_receive_count))

    return batch_handler(edges, EventType.SQS, handle, expected_error=RetryLaterError)
