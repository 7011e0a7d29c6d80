"""The Lambda handler that sends copies of messages to phones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.copies import Copy
from convoke.operations.message_sender import MessageSender, RetryCopyError
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler

MESSAGE: TypeAdapter[BusEvent | Copy] = TypeAdapter(
    BusEvent | Copy, config=ConfigDict(hide_input_in_errors=True, defer_build=True)
)
"""Parses a queue message.

The outbound queue contains the events of messages that must go to phones, in EventBridge's envelope. The copy queue
contains copies, one for each phone.
"""


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler for the outbound queue and the copy queue.

    For an event from the outbound queue, the handler enqueues one queue message for each copy. For a copy from the copy
    queue, the handler makes one attempt to send the copy.
    """
    consumer = Consumer(edges, Program(edges).message_sender)
    return batch_handler(edges, EventType.SQS, consumer.consume, expected_error=RetryCopyError)


@dataclass(frozen=True, slots=True)
class Consumer:
    edges: AwsEdges
    sender: MessageSender

    def consume(self, record: SQSRecord) -> None:
        """Process one queue message. If Convoke itself fails, SQS delivers the queue message again."""
        try:
            message = MESSAGE.validate_json(record.body)
        except ValidationError as error:
            self.edges.logger.error("a queue message was given up: %s", error)  # noqa: TRY400 - no traceback
            self.edges.outbound_failure_queue.send(record.body)
            return
        if isinstance(message, BusEvent):
            self.edges.logger.set_correlation_id(message.detail.id)
            self.sender.split(message.detail)
            return
        self.edges.logger.set_correlation_id(message.receipt_sid)
        try:
            self._attempt(message)
        except RetryCopyError as error:
            # The exception marks the record as failed. SQS delivers the record again after `error.seconds`.
            self.edges.copy_queue.postpone(record.receipt_handle, error.seconds)
            raise

    def _attempt(self, copy: Copy) -> None:
        if begun := self.sender.begin(copy):
            self.sender.finish(begun, self.sender.call(begun))
