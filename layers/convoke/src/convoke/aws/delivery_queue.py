"""Implement the delivery queue and the dead-letter queues on SQS.

A queue message of the delivery queue contains either an event, or the delivery of an event to one target. See
docs/how-it-works.md#promise-7-a-failing-receiver-hurts-only-itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convoke.aws.message_bodies import escape_noncharacters
from convoke.domain.batches import batches
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Convoke's limits for one SendMessageBatch call: the number of queue messages, and their total size. SQS has the same
# limit for the number, and a limit of 1 MiB for the size. See
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 256 * 1024

FAILURES_ATTRIBUTE = "Failures"
"""The message attribute that counts how many times Convoke itself failed to process the queue message."""

MAX_VISIBILITY_SECONDS = 43_200
"""The maximum time that SQS can hide a received queue message: 12 hours."""


class MessagesNotSentError(Exception):
    """SQS did not accept some queue messages.

    The caller may send all queue messages again, because the consumers tolerate duplicates.
    """


@lean_dataclass
class SqsDeliveryQueue:
    client: SQSClient
    queue_url: str

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Send the queue messages in batches. Raise MessagesNotSentError if SQS rejects a queue message."""
        bodies = (escape_noncharacters(message.model_dump_json()) for message in messages)
        for batch in batches(bodies, _body_bytes, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES):
            answer = self.client.send_message_batch(
                QueueUrl=self.queue_url,
                Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)],
            )
            # SQS returns status 200 even if it rejects some queue messages of the batch.
            if failed := answer.get("Failed"):
                raise MessagesNotSentError(f"{len(failed)} of {len(batch)}: {failed[0]['Code']}")

    def send_again(self, body: str, failures: int, seconds: float) -> None:
        """Send a copy of a queue message. SQS delivers the copy after `seconds`.

        `failures` tells how many times Convoke itself failed to process the queue message. The receive count of SQS is
        not enough, because it includes receives without a failure. The copy stores `failures`, because SQS cannot
        change a sent queue message. The caller must delete the original queue message.
        """
        self.client.send_message(
            QueueUrl=self.queue_url,
            MessageBody=body,
            DelaySeconds=int(seconds),
            MessageAttributes={FAILURES_ATTRIBUTE: {"DataType": "Number", "StringValue": str(failures)}},
        )

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Make SQS deliver a received queue message again after `seconds`, rounded up to whole seconds.

        The maximum is MAX_VISIBILITY_SECONDS. The consumer must also report the queue message as failed. Otherwise
        Lambda deletes the queue message.
        """
        timeout = min(-int(-seconds // 1), MAX_VISIBILITY_SECONDS)
        self.client.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=timeout
        )


@lean_dataclass
class SqsDeadLetterQueue:
    client: SQSClient
    queue_url: str

    def send(self, body: str) -> None:
        """Add a queue message whose body is `body`."""
        self.client.send_message(QueueUrl=self.queue_url, MessageBody=escape_noncharacters(body))


def _body_bytes(body: str) -> int:
    return len(body.encode())
