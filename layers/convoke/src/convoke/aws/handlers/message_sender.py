"""The Lambda handler that sends copies of messages to phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import EventType
from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.aws.event_bus import BusEvent
from convoke.aws.handlers.batches import batch_handler
from convoke.domain.copies import Copy
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.message_sender import MessageSender
from convoke.operations.ports import RetryLaterError
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from convoke.aws.edges import AwsEdges
    from convoke.aws.handlers.invocations import Handler

MAX_RECEIVES = 990
"""The number of receives of a queue message after which the handler gives the copy up.

After 1,000 receives, which is the maximum in SQS, SQS moves the queue message to the dead-letter queue. The last ten
receives are a reserve in case the handler fails to give the copy up. Each pause of a copy also uses one receive.
"""

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
    queue, the handler makes at most one attempt to send the copy.
    """
    consumer = Consumer(edges, Program(edges).message_sender)
    return batch_handler(edges, EventType.SQS, consumer.consume, expected_error=RetryLaterError)


@lean_dataclass
class Consumer:
    edges: AwsEdges
    sender: MessageSender

    def consume(self, record: SQSRecord) -> None:
        """Process one queue message.

        If the queue message cannot be parsed, add it to a dead-letter queue. If a copy must be retried later, raise
        RetryLaterError. SQS then delivers the queue message again after a pause. If Convoke itself fails to process a
        copy, the pause grows with each failure. After the last permitted failure, give the copy up. If Convoke fails to
        split an event into copies, the exception propagates, and SQS delivers the event again.
        """
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
        except RetryLaterError as error:
            self._postpone(record, message, error.seconds)
        except Exception:
            self.edges.logger.exception("a copy failed in Convoke")
            self._postpone(record, message, self.sender.pause_after_own_failure(message))

    def _postpone(self, record: SQSRecord, copy: Copy, seconds: float | None) -> None:
        """Make SQS deliver the record again after `seconds`, and raise RetryLaterError.

        If `seconds` is None, or after MAX_RECEIVES receives, give the copy up instead: set its receipt to `failed`, and
        add a dead letter. SQS itself would move the record to the dead-letter queue without changing the receipt.
        """
        if seconds is None or int(record.attributes.approximate_receive_count) >= MAX_RECEIVES:
            self.edges.logger.error("a copy was given up")
            self.sender.give_up(copy)
            self.edges.copy_failure_queue.send([copy])
            return
        self.edges.copy_queue.postpone(record.receipt_handle, seconds)
        # The exception marks the record as failed. Otherwise Lambda would delete the queue message.
        raise RetryLaterError(seconds)

    def _attempt(self, copy: Copy) -> None:
        if begun := self.sender.begin(copy):
            self.sender.finish(begun, self.sender.call(begun))
