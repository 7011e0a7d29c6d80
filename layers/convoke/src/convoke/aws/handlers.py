"""The handlers of the deployed functions: what an event of AWS means to an operation.

A consumer raises to have a message again and returns to be done with it (rule 9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.base import FailureResponse
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges

AwsEvent = dict[str, Any]
Handler = Callable[[AwsEvent, "LambdaContext"], Any]

SWEEP_MARGIN_MILLISECONDS = 15_000
"""Milliseconds before its time limit at which the sweeper leaves the rest to the next sweep."""


def api(edges: AwsEdges) -> Handler:
    """Its logs are found by the Twilio-Request-Id of the answer."""
    from convoke.api.dispatch import request_id
    from convoke.api.resolver import resolver_of

    resolver = resolver_of(Program(edges).api)

    def handler(event: AwsEvent, context: LambdaContext) -> Any:
        edges.logger.set_correlation_id(request_id(context))
        return resolver.resolve(event, context)

    return _observed(edges, handler)


def participant_adder(edges: AwsEdges) -> Handler:
    from convoke.domain.provisioning import Provisioning

    adder = Program(edges).participant_adder

    def add(record: SQSRecord) -> None:
        provisioning = Provisioning.model_validate_json(record.body)
        edges.logger.set_correlation_id(provisioning.conversation_sid)
        adder.add(provisioning)

    return _of_records(edges, "SQS", add)


def webhook_delivery(edges: AwsEdges) -> Handler:
    from pydantic import ConfigDict, TypeAdapter

    from convoke.aws.event_bus import BusEvent
    from convoke.domain.events import Event
    from convoke.domain.webhooks import Delivery
    from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError

    delivery, queue, dead_letters = (
        Program(edges).webhook_delivery,
        edges.delivery_queue,
        edges.delivery_dead_letter_queue,
    )
    config = ConfigDict(hide_input_in_errors=True)
    message_type: TypeAdapter[Delivery | Event | BusEvent] = TypeAdapter(Delivery | Event | BusEvent, config=config)

    def deliver(record: SQSRecord) -> None:
        match message_type.validate_json(record.body):
            case BusEvent(detail=event) | (Event() as event):
                edges.logger.set_correlation_id(event.id)
                delivery.split(event)
            case Delivery() as to_deliver:
                edges.logger.set_correlation_id(to_deliver.event.id)
                try:
                    delivery.deliver(to_deliver, int(record.attributes.approximate_receive_count))
                except RetryLaterError as error:
                    queue.postpone(record.receipt_handle, error.seconds)
                    raise
                except DeliveryFailedError:
                    dead_letters.bury(record.body)

    return _of_records(edges, "SQS", deliver, expected=RetryLaterError)


def event_publisher(edges: AwsEdges) -> Handler:
    """Of a batch of the stream that cannot be published, the records from the first failure on come again."""
    from convoke.storage.events import change_of

    bus = edges.event_bus

    def publish(record: DynamoDBRecord) -> None:
        image = record.dynamodb.new_image if record.dynamodb else None
        if image:
            change = change_of(dict(image))
            edges.logger.set_correlation_id(change.sid)
            if change.events:
                bus.publish(change.events)

    return _of_records(edges, "DynamoDBStreams", publish)


def conversation_finalizer(edges: AwsEdges) -> Handler:
    """The tasks of the state machine, by the `task` of its input. What publishes gets an entry for the bus back."""
    from pydantic import ConfigDict, TypeAdapter

    from convoke.aws.event_bus import entry
    from convoke.domain.provisioning import Cause

    finalizer, bus_name = Program(edges).conversation_finalizer, edges.settings.event_bus_name
    causes_type = TypeAdapter(list[Cause], config=ConfigDict(hide_input_in_errors=True))

    def handler(event: AwsEvent, _: LambdaContext) -> Any:
        account_sid, conversation_sid = event["account_sid"], event["conversation_sid"]
        edges.logger.set_correlation_id(conversation_sid)
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

    return _observed(edges, handler)


def sweeper(edges: AwsEdges) -> Handler:
    sweeps = Program(edges).sweeper

    def handler(_: AwsEvent, context: LambdaContext) -> int:
        return sweeps.sweep(go_on=lambda: context.get_remaining_time_in_millis() > SWEEP_MARGIN_MILLISECONDS)

    return _observed(edges, handler)


def _of_records(
    edges: AwsEdges, kind: str, handle: Callable[[Any], None], expected: type[Exception] | None = None
) -> Handler:
    """Each record of a batch for itself: those that fail come again, the others are done.

    A failure is logged, unless it is the `expected` one.
    """
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    logger = edges.logger

    class Processor(BatchProcessor):
        def failure_handler(self, record: Any, exception: Any) -> FailureResponse:
            if exception[0] is not expected:
                record_id = record.get("messageId") or record.get("eventID")
                logger.error("a record failed and comes again", exc_info=exception[1], extra={"record_id": record_id})
            return super().failure_handler(record, exception)

    processor = Processor(EventType[kind], raise_on_entire_batch_failure=False)

    def handle_alone(record: Any) -> None:
        logger.set_correlation_id(None)
        handle(record)

    def handler(event: AwsEvent, context: LambdaContext) -> PartialItemFailureResponse:
        return process_partial_response(event, handle_alone, processor, context)

    return _observed(edges, handler)


def _observed(edges: AwsEdges, handler: Handler) -> Handler:
    """Every line of the log tells its invocation, and what was counted in it is written when it ends."""
    logger, metrics = edges.logger, edges.metrics

    @logger.inject_lambda_context(clear_state=True)
    def observed(event: AwsEvent, context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        finally:
            metrics.flush()

    return observed
