"""The dead-letter queues of an AWS deployment, for `convoke dlq`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MAX_RECEIVED_MESSAGES = 10
"""The maximum number of messages that one ReceiveMessage call of SQS returns."""

VISIBILITY_TIMEOUT_SECONDS = 60
"""How long a received message stays invisible to other consumers."""


@dataclass(frozen=True, slots=True)
class SqsDeadLetters:
    """Implements `DeadLetters` on an SQS dead-letter queue."""

    client: SQSClient
    name: str
    queue_url: str
    dead_letter_queue_url: str

    def bodies(self) -> list[str]:
        messages = [*self._receive()]
        for message in messages:
            # A visibility timeout of 0 makes the message visible again at once.
            self.client.change_message_visibility(
                QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [message["Body"] for message in messages]

    def redrive(self, rewrite: Callable[[str], str]) -> int:
        redriven = 0
        for message in self._receive():
            # Send the message before deleting the old message. A crash between these calls then duplicates the message,
            # but never loses the message.
            self.client.send_message(QueueUrl=self.queue_url, MessageBody=rewrite(message["Body"]))
            self.client.delete_message(QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"])
            redriven += 1
        return redriven

    def _receive(self) -> Iterator[MessageTypeDef]:
        """Receive about as many messages as the queue contains now.

        Without this maximum, `redrive` might never end, because a redriven message that fails at once comes back to
        this queue.
        """
        remaining = self._message_count()
        while remaining > 0:
            messages = self.client.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=min(remaining, MAX_RECEIVED_MESSAGES),
                VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                # Use long polling, because short polling asks only some of SQS's servers and can miss messages.
                WaitTimeSeconds=1,
            ).get("Messages", [])
            yield from messages
            remaining = remaining - len(messages) if messages else 0

    def _message_count(self) -> int:
        response = self.client.get_queue_attributes(
            QueueUrl=self.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(response["Attributes"]["ApproximateNumberOfMessages"])
