"""The dead letters of a deployment, as its operator reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MAX_RECEIVED_MESSAGES = 10
"""Messages in one call (SQS's limit)."""

VISIBILITY_TIMEOUT_SECONDS = 60
"""Seconds that a message is invisible to others while it is looked at."""


@dataclass(frozen=True, slots=True)
class SqsDeadLetters:
    client: SQSClient
    name: str
    queue_url: str
    dead_letter_queue_url: str

    def bodies(self) -> list[str]:
        """They are visible again afterwards."""
        received = [*self._received()]
        for message in received:
            self.client.change_message_visibility(
                QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [message["Body"] for message in received]

    def redrive(self, again: Callable[[str], str]) -> int:
        """Sent first and removed then, so that none is lost; at worst one comes twice."""
        redriven = 0
        for message in self._received():
            self.client.send_message(QueueUrl=self.queue_url, MessageBody=again(message["Body"]))
            self.client.delete_message(QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"])
            redriven += 1
        return redriven

    def _received(self) -> Iterator[MessageTypeDef]:
        """About as many as there are now: one that is refused at once is back while others are still on their way."""
        left = self._number()
        while left > 0:
            # Waiting asks all of SQS's servers, of which each has some of the messages.
            received = self.client.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=min(left, MAX_RECEIVED_MESSAGES),
                VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                WaitTimeSeconds=1,
            ).get("Messages", [])
            yield from received
            left = left - len(received) if received else 0

    def _number(self) -> int:
        answer = self.client.get_queue_attributes(
            QueueUrl=self.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])
