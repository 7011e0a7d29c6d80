"""On AWS, a message replay of any length reaches its webhook, although the replay causes a long chain of invocations.

A chain is a series of invocations that go through the same queue. By default, Lambda stops a chain after 16
invocations. template.yaml therefore permits longer chains (`RecursiveLoop: Allow`). See
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from convoke.domain.events import Event, ReplayType
from convoke.domain.message_replays import replay_span
from convoke.domain.sids import greatest_sid_with_index
from convoke.domain.webhooks import Delivery
from convoke.storage import keys
from convoke.storage.table import Put
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.template import functions

MAX_CHAIN = 16


@dataclass
class LambdaQueue:
    """A delivery queue whose messages invoke a Lambda function.

    Each message has a lineage: the number of invocations in its chain. On AWS, botocore and the Lambda runtime pass the
    lineage in the header X-Amzn-Trace-Id. If `may_recurse` is True, Lambda does not stop long chains.
    """

    may_recurse: bool
    waiting: deque[tuple[int, Delivery | Event]] = field(default_factory=deque)
    stopped: list[Delivery | Event] = field(default_factory=list)
    lineage: int = 0
    """The lineage of the message that the function processes. Outside an invocation, the lineage is 0."""

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        self.waiting.extend((self.lineage + 1, message) for message in messages)

    def run(self, handle: Callable[[Delivery | Event], None]) -> None:
        """Call `handle` for each message until the queue is empty.

        If Lambda would stop the chain of a message, put the message into `stopped`, and do not call `handle`.
        """
        while self.waiting:
            self.lineage, message = self.waiting.popleft()
            if self.lineage > MAX_CHAIN and not self.may_recurse:
                self.stopped.append(message)
            else:
                handle(message)
        self.lineage = 0


def fill(instance: EmbeddedInstance, conversation_sid: str, count: int) -> None:
    """Fill a conversation with `count` messages. The API creates only the first message.

    The function stores duplicates of this message in the table. For the longest replay, the API would need a minute to
    create all messages.
    """
    create = instance.client().conversations.v1.conversations(conversation_sid).messages.create
    create(body="Hello")
    (first,) = instance.items("message#")
    for start in range(1, count, 100):
        writes = []
        for index in range(start, min(start + 100, count)):
            sid = greatest_sid_with_index(index)
            key = keys.message(instance.account.sid, conversation_sid, sid)
            writes.append(Put({**first, "sk": key.sk, "sid": sid, "index": index}))
        instance.table.transact(writes)
    (conversation,) = instance.items("conversation")
    instance.table.transact([Put({**conversation, "next_index": count})])


@pytest.mark.parametrize("count", [136, 500, 5_000])
def test_replay_of_any_length_is_delivered(count: int) -> None:
    queue = LambdaQueue(may_recurse=functions()["webhook_delivery"].get("RecursiveLoop") == "Allow")
    indexes: list[int] = []
    steps: list[int] = []
    with held_instance(delivery_queue=queue) as instance:
        v1 = instance.client().conversations.v1
        sid = v1.conversations.create().sid
        fill(instance, sid, count + 1)
        url = "https://hooks.example.com/"
        v1.conversations(sid).webhooks.create(
            target="webhook",
            configuration_url=url,
            configuration_filters=["onMessageAdded"],
            configuration_replay_after=0,
        )
        (replay,) = [
            event for change in instance.changes() for event in change["events"] if event["type"] == ReplayType.MESSAGES
        ]
        queue.send([Event.model_validate(replay)])

        def handle(message: Delivery | Event) -> None:
            if isinstance(message, Delivery):
                indexes.append(int(message.parameters["Index"]))
                if message.followed_by:
                    queue.send([message.followed_by])
            else:
                steps.append(replay_span(message).first)
                instance.engine.program.webhook_delivery.split(message)

        queue.run(handle)
    assert queue.stopped == []
    assert indexes == [*range(indexes[0], count + 1)]
    assert len(indexes) >= count
    assert steps == sorted(set(steps)), "each step begins behind the previous one, so the chain ends"
