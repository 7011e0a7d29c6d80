"""Implement the participant queue on SQS. Each queue message contains the participants of one new conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convoke.aws.message_bodies import escape_noncharacters
from convoke.domain.provisioning import Provisioning
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@lean_dataclass
class SqsParticipantQueue:
    client: SQSClient
    queue_url: str

    def send(self, provisioning: Provisioning) -> None:
        body = escape_noncharacters(provisioning.model_dump_json())
        self.client.send_message(QueueUrl=self.queue_url, MessageBody=body)
