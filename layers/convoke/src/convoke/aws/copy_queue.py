"""Send the copies of messages to a FIFO queue. The function `message_sender` receives the copies from this queue."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convoke.aws.message_bodies import escape_noncharacters
from convoke.domain.batches import batches
from convoke.domain.copies import Copy
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# Convoke's limits for one SendMessageBatch call: the number of entries, and their total size. SQS has the same limit
# for the number, and a limit of 1 MiB for the size. See
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 256 * 1024


class CopiesNotSentError(Exception):
    """SQS did not accept some queue messages.

    The caller may enqueue all copies again, because the message sender skips a copy that was sent before.
    """


@lean_dataclass
class SqsCopyQueue:
    """Implements `CopyQueue` with a FIFO queue.

    SQS delivers the queue messages of one message group in order. Each pair of a business address and a phone has its
    own message group. See `Copy.line`. The deduplication id is the receipt's SID.
    """

    client: SQSClient
    queue_url: str

    def send(self, copies: Sequence[Copy]) -> None:
        """Send the copies in batches. Raise CopiesNotSentError if SQS rejects a copy."""
        for batch in batches(copies, _entry_bytes, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES):
            entries = [_entry(place, copy) for place, copy in enumerate(batch)]
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            if failed := answer.get("Failed"):
                raise CopiesNotSentError(f"{len(failed)} copies: {failed[0]['Code']}")

    def postpone(self, receipt_handle: str, seconds: float) -> None:
        """Make SQS deliver a received queue message again after `seconds`, rounded up to whole seconds.

        The consumer must also report the queue message as failed. Otherwise Lambda deletes the queue message.
        """
        self.client.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=-int(-seconds // 1)
        )


def _entry(place: int, copy: Copy) -> SendMessageBatchRequestEntryTypeDef:
    return {
        "Id": str(place),
        "MessageBody": escape_noncharacters(copy.model_dump_json()),
        # Use a hash, because an address can break the rules for a MessageGroupId.
        "MessageGroupId": hashlib.sha256(f"{copy.account_sid} {copy.line}".encode()).hexdigest(),
        "MessageDeduplicationId": copy.receipt_sid,
    }


def _entry_bytes(copy: Copy) -> int:
    return len(copy.model_dump_json().encode())
