"""The participant queue on SQS. Each queue message contains the participants to add to one conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convoke.domain.provisioning import Provisioning

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class SqsParticipantQueue:
    client: SQSClient
    queue_url: str

    def send(self, provisioning: Provisioning) -> None:
        self.client.send_message(QueueUrl=self.queue_url, MessageBody=provisioning.model_dump_json())
