"""Give `convoke dlq` access to the dead-letter queues of an AWS deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convoke.aws.message_bodies import escape_noncharacters

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MAX_RECEIVED_MESSAGES = 10
"""The maximum number of queue messages that SQS returns to one ReceiveMessage call."""

GROUP: Final = "MessageGroupId"
"""The attribute with the message group. In Convoke, only queue messages of a FIFO queue have this attribute."""

VISIBILITY_TIMEOUT_SECONDS = 60
"""How long SQS hides a received queue message from other consumers."""


@dataclass(frozen=True, slots=True)
class SqsLetters:
    """Implements `Letters` (cli/installation.py): reads and deletes the queue messages of an SQS dead-letter queue."""

    client: SQSClient
    name: str
    dead_letter_queue_url: str

    def bodies(self) -> list[str]:
        messages = [*self._receive()]
        for message in messages:
            # With a timeout of 0, other consumers can receive the queue message immediately.
            self.client.change_message_visibility(
                QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [message["Body"] for message in messages]

    def consume(self, handle: Callable[[str], bool]) -> int:
        return self._consume(lambda message: handle(message["Body"]))

    def _consume(self, handle: Callable[[MessageTypeDef], bool]) -> int:
        consumed = 0
        for message in self._receive():
            # Handle the queue message, and then delete it. If the process crashes in between, the queue message is
            # handled again, but is never lost.
            if handle(message):
                self.client.delete_message(QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"])
                consumed += 1
        return consumed

    def _receive(self) -> Iterator[MessageTypeDef]:
        """Receive about as many queue messages as the dead-letter queue contains at the start.

        A queue message that is moved back can fail again and return. Without this limit, a redrive might never end.
        """
        remaining = self._message_count()
        while remaining > 0:
            messages = self.client.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=min(remaining, MAX_RECEIVED_MESSAGES),
                VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                AttributeNames=[GROUP],
                # Use long polling. Short polling asks only some of SQS's servers, so it can miss queue messages.
                WaitTimeSeconds=1,
            ).get("Messages", [])
            yield from messages
            remaining = remaining - len(messages) if messages else 0

    def _message_count(self) -> int:
        response = self.client.get_queue_attributes(
            QueueUrl=self.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(response["Attributes"]["ApproximateNumberOfMessages"])


@dataclass(frozen=True, slots=True)
class SqsDeadLetters(SqsLetters):
    """Implements `DeadLetters` (cli/installation.py): also moves the queue messages back to the original queue."""

    queue_url: str

    def redrive(self, rewrite: Callable[[str], str]) -> int:
        def send(message: MessageTypeDef) -> bool:
            body = escape_noncharacters(rewrite(message["Body"]))
            if group := message.get("Attributes", {}).get(GROUP):
                # Use the message id as the deduplication id. With the original deduplication id, SQS would drop a queue
                # message that was sent less than 5 minutes ago.
                self.client.send_message(
                    QueueUrl=self.queue_url,
                    MessageBody=body,
                    MessageGroupId=group,
                    MessageDeduplicationId=message["MessageId"],
                )
            else:
                self.client.send_message(QueueUrl=self.queue_url, MessageBody=body)
            return True

        return self._consume(send)
