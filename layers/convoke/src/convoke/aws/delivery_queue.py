"""The delivery queue on SQS: one message a target, one attempt a message (promise 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convoke.domain.batches import batches
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 256 * 1024
"""Messages, and bytes of all of them together, in one call (SQS's limits)."""

MAX_VISIBILITY_SECONDS = 43_200
"""Seconds that a message can stay invisible (SQS's limit)."""


class MessagesNotSentError(Exception):
    """SQS did not take some messages. They may be sent again, together with those that it took."""


@dataclass(frozen=True, slots=True)
class SqsDeliveryQueue:
    client: SQSClient
    queue_url: str

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Raises MessagesNotSentError."""
        bodies = (message.model_dump_json() for message in messages)
        for batch in batches(bodies, _size, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES):
            answer = self.client.send_message_batch(
                QueueUrl=self.queue_url,
                Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)],
            )
            if failed := answer.get("Failed"):
                raise MessagesNotSentError(f"{len(failed)} of {len(batch)}: {failed[0]['Code']}")

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Let a received message come again after `seconds`, rounded up, as its reader fails it."""
        pause = min(-int(-seconds // 1), MAX_VISIBILITY_SECONDS)
        self.client.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=pause
        )


@dataclass(frozen=True, slots=True)
class SqsDeadLetterQueue:
    client: SQSClient
    queue_url: str

    def bury(self, body: str) -> None:
        """Copy a message here; its reader then lets go of the original."""
        self.client.send_message(QueueUrl=self.queue_url, MessageBody=body)


def _size(body: str) -> int:
    return len(body.encode())
