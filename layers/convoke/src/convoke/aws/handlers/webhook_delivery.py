"""The Lambda handler for the delivery queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.aws.deliveries import Deliveries, SharedCircuitBreakers
from convoke.aws.delivery_queue import FAILURES_ATTRIBUTE
from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.events import Event
from convoke.domain.pauses import own_failure_pause_seconds
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import RetryLaterError
from convoke.operations.webhook_delivery import DeliveryFailedError, WebhookDelivery, without_continuation
from convoke.program import Program
from convoke.storage.circuit_breakers import CircuitBreakerRepository

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.delivery_queue import SqsDeadLetterQueue
    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler


# Queue messages contain personal data, so the logged validation errors must not contain the input.
MESSAGE: TypeAdapter[Delivery | Event | BusEvent] = TypeAdapter(
    Delivery | Event | BusEvent, config=ConfigDict(hide_input_in_errors=True, defer_build=True)
)


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for the delivery queue.

    A queue message is an event or a delivery. For an event, the handler enqueues one delivery for each target: each
    URL that gets the event. For a delivery, the handler makes at most one attempt.

    A message replay sends the existing messages of a conversation to a new webhook. For an event of a message replay,
    the handler enqueues only the next delivery or the next event of the replay.

    An event from the bus has EventBridge's envelope. An event that continues a message replay has no envelope, because
    Convoke puts such an event directly into the queue.
    """
    webhook_delivery = Program(edges).webhook_delivery
    breakers = SharedCircuitBreakers(CircuitBreakerRepository(edges.table), edges.now)
    consumer = Consumer(edges, webhook_delivery, Deliveries(webhook_delivery, breakers, edges.now))
    return batch_handler(edges, EventType.SQS, consumer.consume, expected_error=RetryLaterError)


@lean_dataclass
class Consumer:
    edges: AwsEdges
    delivery: WebhookDelivery
    deliveries: Deliveries

    def consume(self, record: SQSRecord) -> None:
        try:
            message = _parsed(record.body)
        except ValidationError as error:
            # Convoke caused this failure, not a receiver. Therefore use the failure queue, which has an alarm.
            self._give_up(record, error, self.edges.delivery_failure_queue)
            return
        try:
            self._process(message, record)
        except RetryLaterError as error:
            # The exception marks the record as failed. SQS delivers the record again after `error.seconds`.
            self.edges.delivery_queue.postpone(record.receipt_handle, error.seconds)
            raise
        except DeliveryFailedError as error:
            self._give_up(record, error, self.edges.delivery_dead_letter_queue)
        except Exception as error:
            self.edges.logger.exception("a queue message failed in Convoke")
            self._fail(record, message, error)

    def _process(self, message: Delivery | Event, record: SQSRecord) -> None:
        if isinstance(message, Event):
            self.edges.logger.set_correlation_id(message.id)
            self.delivery.split(message)
        else:
            self.edges.logger.set_correlation_id(message.event.id)
            # Add Convoke's own failures. After each failure, `_fail` replaces the queue message by a copy, and SQS
            # counts the receives of the copy from 1.
            receives = int(record.attributes.approximate_receive_count) + _failures_of(record)
            self.deliveries.attempt(message, receives)

    def _fail(self, record: SQSRecord, message: Delivery | Event, error: Exception) -> None:
        """After a failure of Convoke itself, send a copy of the queue message. SQS delivers the copy after a pause.

        The copy contains the number of failures. After the last permitted failure, report the failure, and add the
        queue message to the failure queue instead.
        """
        failures = _failures_of(record) + 1
        pause = own_failure_pause_seconds(failures)
        if pause is not None:
            self.edges.delivery_queue.send_again(record.body, failures, pause)
            return
        self.delivery.report_own_failure(message)
        self._give_up(record, error, self.edges.delivery_failure_queue)

    def _give_up(self, record: SQSRecord, error: Exception, dead_letters: SqsDeadLetterQueue) -> None:
        # Send a copy to the dead-letter queue now. SQS itself would move the queue message only after the maximum
        # number of receives.
        self.edges.logger.error("a queue message was given up: %s", error)
        dead_letters.send(without_continuation(record.body))


def _parsed(body: str) -> Delivery | Event:
    message = MESSAGE.validate_json(body)
    return message.detail if isinstance(message, BusEvent) else message


def _failures_of(record: SQSRecord) -> int:
    """Return how many times Convoke itself failed to process the queue message."""
    # Powertools' `record.message_attributes` has no advantage here, because its `get` returns a plain dictionary too.
    attribute = record["messageAttributes"].get(FAILURES_ATTRIBUTE)
    return int(attribute["stringValue"]) if attribute else 0
