"""`functions/message_sender` splits an event into one queue message for each copy, and sends the copies.

The function postpones copies that the carrier refuses for now.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convoke.aws.copy_queue import CopiesNotSentError, SqsCopyQueue
from convoke.aws.handlers.message_sender import MAX_RECEIVES
from convoke.domain.copies import Copy
from tests.functions.test_handlers import EVENTS, sample
from tests.support.aws import FunctionContext, MotoInstance, moto_instance
from tests.support.examples import CHAT_AND_SMS
from tests.support.phones import PHONE, conversation_with

COPY = Copy(
    account_sid="AC" + "0" * 32,
    conversation_sid="CH" + "0" * 32,
    message_sid="IM" + "0" * 32,
    receipt_sid="DY" + "0" * 32,
    line="+15017122661>+15558675310",
)


@pytest.fixture
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


@pytest.mark.parametrize("name", ["event.json", "copy.json"])
def test_sample_for_a_missing_message_succeeds(moto: MotoInstance, name: str) -> None:
    event = sample(EVENTS / "message_sender" / name, moto)
    assert moto.handler("message_sender")(event, FunctionContext()) == {"batchItemFailures": []}


def test_copy_that_the_carrier_does_not_take_is_postponed_by_seconds(moto: MotoInstance) -> None:
    conversation = conversation_with(moto, *CHAT_AND_SMS)
    moto.phone_plans.plan(moto.account.sid, PHONE, failures=1, reports_delivery=True)
    conversation.messages.create(body="Hello")
    moto.work()
    (receipt,) = moto.items("receipt#")
    assert (receipt["status"], moto.waiting_messages("copy")) == ("queued", 1)


@pytest.mark.parametrize(("receives", "status"), [(MAX_RECEIVES - 1, "queued"), (MAX_RECEIVES, "failed")])
def test_copy_fails_before_sqs_gives_it_up(moto: MotoInstance, receives: int, status: str) -> None:
    conversation = conversation_with(moto, *CHAT_AND_SMS)
    moto.phone_plans.plan(moto.account.sid, PHONE, failures=2, reports_delivery=True)
    conversation.messages.create(body="Hello")
    moto.work()
    moto.forget_pauses(receives=receives - 1)
    moto.work()
    (receipt,) = moto.items("receipt#")
    is_failed = status == "failed"
    assert (receipt["status"], receipt["error_code"]) == (status, 30008 if is_failed else 0)
    assert (moto.waiting_messages("copy"), moto.waiting_messages("copy-failure")) == (not is_failed, is_failed)


def test_unreadable_queue_message_is_given_up_at_once(moto: MotoInstance) -> None:
    moto.deployment.client("sqs").send_message(QueueUrl=moto.deployment.values["OutboundQueue"], MessageBody="{}")
    moto.work()
    assert moto.waiting_messages("outbound-failure") == 1


def test_copies_from_one_number_to_one_phone_share_a_message_group_and_come_once(moto: MotoInstance) -> None:
    sqs, url = moto.deployment.client("sqs"), moto.deployment.values["CopyQueue"]
    queue = SqsCopyQueue(sqs, url)
    others = [COPY.model_copy(update={"receipt_sid": f"DY{number:032}"}) for number in range(1, 12)]
    queue.send([COPY, *others])
    queue.send([COPY])
    assert moto.waiting_messages("copy") == 12
    # While a message of a message group is in flight, SQS returns no further message of the group.
    first = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, AttributeNames=["All"])["Messages"]
    assert Copy.model_validate_json(first[0]["Body"]) == COPY
    assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)


class RefusingSqs:
    def send_message_batch(self, **_: object) -> dict[str, object]:
        return {"Failed": [{"Code": "InternalError"}]}


def test_copies_that_sqs_rejects_are_reported() -> None:
    with pytest.raises(CopiesNotSentError, match="1 copies: InternalError"):
        SqsCopyQueue(RefusingSqs(), "url").send([COPY])  # type: ignore[arg-type]
