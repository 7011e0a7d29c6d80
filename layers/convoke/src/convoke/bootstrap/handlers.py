"""The handlers of the deployed functions: what an event of AWS means to an operation.

A consumer raises to have a message again and returns to be done with it (rule 9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convoke.bootstrap import program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.bootstrap.aws import AwsEdges

AwsEvent = dict[str, Any]
Handler = Callable[[AwsEvent, "LambdaContext"], Any]

LEAVE_OVER = 15_000
"""Milliseconds before its time limit at which the sweeper leaves the rest to the next sweep."""


def api(edges: AwsEdges) -> Handler:
    return program.api(edges).resolve


def participant_adder(edges: AwsEdges) -> Handler:
    from convoke.domain.provisioning import Provisioning

    adder = program.participant_adder(edges)

    def add(record: SQSRecord) -> None:
        adder.add(Provisioning.model_validate_json(record.body))

    return _of_messages(add)


def webhook_delivery(edges: AwsEdges) -> Handler:
    from pydantic import TypeAdapter

    from convoke.domain.webhooks import Delivery
    from convoke.event_bus.event_bridge import BusEvent
    from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError

    delivery, queue = program.webhook_delivery(edges), edges.delivery_queue
    message_type: TypeAdapter[Delivery | BusEvent] = TypeAdapter(Delivery | BusEvent)

    def deliver(record: SQSRecord) -> None:
        match message_type.validate_json(record.body):
            case BusEvent(detail=event):
                delivery.split(event)
            case Delivery() as to_deliver:
                try:
                    delivery.deliver(to_deliver, int(record.attributes.approximate_receive_count))
                except RetryLaterError as error:
                    queue.postpone(record.receipt_handle, error.seconds)
                    raise
                except DeliveryFailedError:
                    queue.bury(record.body)

    return _of_messages(deliver)


def event_publisher(edges: AwsEdges) -> Handler:
    """Of a batch of the stream that cannot be published, the records from the first failure on come again."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    from convoke.storage.changes import change_of

    publisher = program.event_publisher(edges)
    processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)

    def publish(record: DynamoDBRecord) -> None:
        image = record.dynamodb.new_image if record.dynamodb else None
        if image:
            publisher.publish([change_of(dict(image))])

    def handler(event: AwsEvent, context: LambdaContext) -> PartialItemFailureResponse:
        return process_partial_response(event, publish, processor, context)

    return handler


def conversation_finalizer(edges: AwsEdges) -> Handler:
    """The tasks of the state machine, by the `task` of its input. What publishes gets an entry for the bus back."""
    from pydantic import TypeAdapter

    from convoke.domain.provisioning import Cause
    from convoke.event_bus.event_bridge import entry

    finalizer, bus_name = program.conversation_finalizer(edges), edges.settings.event_bus_name
    causes_type = TypeAdapter(list[Cause])

    def handler(event: AwsEvent, _: LambdaContext) -> Any:
        account_sid, conversation_sid = event["account_sid"], event["conversation_sid"]
        causes = causes_type.validate_python(event.get("causes", []))
        match event["task"]:
            case "finalize":
                return entry(finalizer.finalize(account_sid, conversation_sid, causes), bus_name)
            case "close":
                return entry(finalizer.close(account_sid, conversation_sid, causes), bus_name)
            case "settle":
                return finalizer.settle(account_sid, conversation_sid)
            case unknown:
                raise ValueError(f"there is no task {unknown}")

    return handler


def sweeper(edges: AwsEdges) -> Handler:
    sweeps = program.sweeper(edges, program.participant_adder(edges))

    def handler(_: AwsEvent, context: LambdaContext) -> int:
        return sweeps.sweep(go_on=lambda: context.get_remaining_time_in_millis() > LEAVE_OVER)

    return handler


def _of_messages(handle: Callable[[SQSRecord], None]) -> Handler:
    """Each message of a batch for itself: those that fail come again, the others are done."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)

    def handler(event: AwsEvent, context: LambdaContext) -> PartialItemFailureResponse:
        return process_partial_response(event, handle, processor, context)

    return handler
