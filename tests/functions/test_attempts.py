"""On AWS, the attempts in the table determine the number of the next attempt (aws/deliveries.py).

The receive count of SQS can be higher. SQS counts a receive even if no attempt follows, for example because Lambda
throttles the function, or because Convoke fails before the attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from convoke.aws.edges import AwsEdges
from convoke.domain.connections import MAX_RETRIES
from convoke.storage.table import Update
from tests.support.aws import MotoInstance, moto_instance

URL = "https://hooks.example.com/"


@dataclass
class FailingUpdates:
    """Wraps a table in which some updates fail.

    `failing` contains the numbers of the failing updates. The first update has the number 1.
    """

    table: Any
    failing: set[int] = field(default_factory=set)
    updates: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def update(self, update: Update) -> Any:
        self.updates += 1
        if self.updates in self.failing:
            raise OSError("the table cannot be reached")
        return self.table.update(update)


@pytest.fixture
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


@pytest.fixture
def table(moto: MotoInstance) -> FailingUpdates:
    """Make the webhook delivery function use a table of the class FailingUpdates, and return the table."""
    edges: AwsEdges = moto.edges("webhook_delivery")
    failing = FailingUpdates(edges.table)
    edges.table = failing  # type: ignore[assignment]
    return failing


def send(moto: MotoInstance, url: str = URL) -> None:
    """Create a message in a conversation, so that the delivery queue contains one delivery."""
    v1 = moto.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=url, filters=["onMessageAdded"])
    conversation = v1.conversations(v1.conversations.create().sid)
    conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
    moto._publish()
    moto._deliver()
    assert moto.receivers.posted == []
    assert moto.waiting_messages("delivery") == 1


def throttle(moto: MotoInstance, times: int) -> None:
    """Receive the message `times` times without processing it, as if Lambda throttled every invocation."""
    sqs, url = moto.deployment.client("sqs"), moto.deployment.values["DeliveryQueue"]
    for _ in range(times):
        assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]


def attempts(moto: MotoInstance) -> list[tuple[int, int | None]]:
    return [(int(item["number"]), item.get("status")) for item in moto.items("attempt#")]


def deliver_all(moto: MotoInstance) -> None:
    """Deliver until the delivery queue is empty."""
    while moto.waiting_messages("delivery"):
        moto.forget_pauses()
        moto.work()


def test_throttled_invocations_do_not_count_as_attempts(moto: MotoInstance) -> None:
    send(moto)
    throttle(moto, 20)
    moto.receivers.statuses = [500, 500, 500, 200]
    deliver_all(moto)
    assert moto.receivers.retry_counts == [0, 1, 2, 3]
    assert attempts(moto) == [(1, 500), (2, 500), (3, 500), (4, 200)]
    assert moto.waiting_messages("delivery-dlq") == 0


@pytest.mark.parametrize("failing", [1, 2], ids=["before the call", "after the call"])
def test_attempt_that_fails_in_convoke_does_not_count(moto: MotoInstance, table: FailingUpdates, failing: int) -> None:
    send(moto)
    table.failing = {failing}
    moto.receivers.statuses = [*[500] * (failing - 1), 500, 500, 500, 500]
    deliver_all(moto)
    assert moto.receivers.retry_counts == [*[0] * (failing - 1), 0, 1, 2, 3]
    assert attempts(moto) == [(1, 500), (2, 500), (3, 500), (4, 500)]
    assert moto.waiting_messages("delivery-dlq") == 1


def test_event_that_the_receiver_accepted_is_not_delivered_again(moto: MotoInstance) -> None:
    """The process ends after the attempt is recorded, but before the message is deleted.

    SQS then delivers the message again.
    """
    send(moto)
    body = received(moto)
    moto.work()
    moto.deployment.client("sqs").send_message(QueueUrl=moto.deployment.values["DeliveryQueue"], MessageBody=body)
    throttle(moto, 1)
    moto.work()
    assert (len(moto.receivers.posted), moto.waiting_messages("delivery")) == (1, 0)
    assert attempts(moto) == [(1, 200)]


def test_last_attempt_is_repeated_if_its_conclusion_is_lost(moto: MotoInstance) -> None:
    """SQS delivers a message again if the process ends before it sends the dead letter.

    The test simulates such a second delivery: it sends the message again. In the test, the first delivery has also made
    a dead letter, so there are two dead letters at the end.
    """
    send(moto, f"{URL}#rc=0")
    body = received(moto)
    moto.receivers.statuses = [500, 500]
    moto.work()
    assert moto.waiting_messages("delivery-dlq") == 1
    moto.deployment.client("sqs").send_message(QueueUrl=moto.deployment.values["DeliveryQueue"], MessageBody=body)
    throttle(moto, 1)
    moto.work()
    assert moto.receivers.retry_counts == [0, 0]
    assert attempts(moto) == [(1, 500)]
    assert (moto.waiting_messages("delivery-dlq"), len(moto.items("alert"))) == (2, 1)


def received(moto: MotoInstance) -> str:
    """Return the body of the queue message, and leave the message in the queue."""
    sqs, url = moto.deployment.client("sqs"), moto.deployment.values["DeliveryQueue"]
    (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    return str(message["Body"])


def test_each_target_has_its_own_attempts(moto: MotoInstance) -> None:
    send(moto)
    moto.receivers.statuses = [500, 200]
    deliver_all(moto)
    (event,) = {item["event_id"] for item in moto.items("attempt#")}
    moto.call("POST", f"/convoke/v1/Events/{event}/Replay")
    throttle(moto, 1)
    moto.receivers.statuses = [500, 200]
    deliver_all(moto)
    assert moto.receivers.retry_counts == [0, 1, 0, 1], "a replay starts with attempt 1"


def test_message_that_cannot_be_read_is_a_dead_letter_at_once(moto: MotoInstance) -> None:
    moto.deployment.client("sqs").send_message(QueueUrl=moto.deployment.values["DeliveryQueue"], MessageBody="{}")
    moto.work()
    assert (moto.waiting_messages("delivery"), moto.waiting_messages("delivery-failure")) == (0, 1)


def test_longest_delivery_is_given_up_after_its_last_attempt(moto: MotoInstance) -> None:
    send(moto, f"{URL}#rc={MAX_RETRIES}")
    throttle(moto, 3)
    moto.receivers.statuses = [500] * (1 + MAX_RETRIES)
    deliver_all(moto)
    assert attempts(moto) == [(1 + number, 500) for number in range(1 + MAX_RETRIES)]
    assert moto.waiting_messages("delivery-dlq") == 1
