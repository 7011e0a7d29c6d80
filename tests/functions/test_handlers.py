"""Each function runs as on Lambda: from its app.py, with the template's environment variables and an event.

moto simulates the AWS services.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from convoke.aws.handlers.sweeper import SWEEP_MARGIN_MILLISECONDS
from convoke.storage import keys
from convoke.storage.packing import unpack_provisioning
from convoke.storage.table import Key, Set, Update
from tests.support.aws import FunctionContext, MotoInstance, moto_instance
from tests.support.examples import CHAT_AND_SMS
from tests.support.template import ROOT, functions

EVENTS = ROOT / "events"

Call = Callable[..., Any]
"""Calls a Lambda function. The arguments are the function's name, an event and an optional Lambda context."""


@pytest.fixture
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


@pytest.fixture
def function(moto: MotoInstance, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a callable that starts a Lambda function, sends an event, and returns the result."""

    def call(name: str, event: dict[str, Any], context: FunctionContext | None = None) -> Any:
        for variable, value in moto.deployment.environment(name).items():
            monkeypatch.setenv(variable, value)
        spec = importlib.util.spec_from_file_location(f"functions_{name}", ROOT / "functions" / name / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.lambda_handler(event, context or FunctionContext())

    return call


def sample(path: Path, moto: MotoInstance, conversation_sid: str = "") -> dict[str, Any]:
    """Return a sample event. SIDs and credentials of the instance replace the placeholders."""
    text = path.read_text().replace("{ACCOUNT_SID}", moto.account.sid).replace("{CONVERSATION_SID}", conversation_sid)
    event: dict[str, Any] = json.loads(text)
    if "headers" in event:
        event["headers"]["authorization"] = basic(moto)
    return event


def basic(moto: MotoInstance) -> str:
    """Return the value of an `Authorization` header with the credentials of the account."""
    return "Basic " + base64.b64encode(f"{moto.account.sid}:{moto.token}".encode()).decode()


@pytest.mark.parametrize("form", ["plain", "base64"])
def test_api_accepts_plain_and_base64_bodies(moto: MotoInstance, function: Call, form: str) -> None:
    answered = function("api", sample(EVENTS / "api" / f"create_{form}.json", moto))
    assert answered["statusCode"] == 202
    assert json.loads(answered["body"])["state"] == "initializing"


def test_api_answers_401_without_credentials(moto: MotoInstance, function: Call) -> None:
    event = sample(EVENTS / "api" / "create_plain.json", moto)
    del event["headers"]["authorization"]
    assert function("api", event)["statusCode"] == 401


def created(moto: MotoInstance) -> tuple[str, dict[str, Any]]:
    """Create a conversation. Return its SID and its provisioning record."""
    sid = moto.client().conversations.v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    (record,) = moto.items("provisioning")
    return sid, record


def test_poison_message_does_not_block_the_rest_of_the_batch(moto: MotoInstance, function: Call) -> None:
    sid, record = created(moto)
    event = sample(EVENTS / "participant_adder" / "batch.json", moto)
    good, poison = event["Records"]
    good["body"] = unpack_provisioning(record).model_dump_json()
    answered = function("participant_adder", event)
    assert answered == {"batchItemFailures": [{"itemIdentifier": poison["messageId"]}]}
    moto._execute()
    assert moto.client().conversations.v1.conversations(sid).fetch().state == "active"


def test_finalizer_performs_finalize_twice_and_settle(moto: MotoInstance, function: Call) -> None:
    sid, _ = created(moto)
    moto._add_participants()
    folder = EVENTS / "conversation_finalizer"
    entry = function("conversation_finalizer", sample(folder / "finalize.json", moto, sid))
    assert (entry["Source"], entry["DetailType"]) == ("convoke", "onConversationStateUpdated")
    assert json.loads(entry["Detail"])["payload"]["StateTo"] == "active"
    assert function("conversation_finalizer", sample(folder / "finalize.json", moto, sid)) == entry
    assert function("conversation_finalizer", sample(folder / "settle.json", moto, sid)) is None


def test_close_task_returns_an_event_and_stores_an_alert(moto: MotoInstance, function: Call) -> None:
    sid, _ = created(moto)
    event = sample(EVENTS / "conversation_finalizer" / "close.json", moto, sid)
    entry = function("conversation_finalizer", event)
    assert json.loads(entry["Detail"])["payload"]["StateTo"] == "closed"
    (alert,) = moto.items("alert")
    assert [cause["code"] for cause in alert["causes"]] == [50109]


def test_execution_with_causes_closes_the_conversation(moto: MotoInstance) -> None:
    sid, _ = created(moto)
    execution = {"account_sid": moto.account.sid, "conversation_sid": sid, "causes": []}
    cause = {"code": 50109, "message": "The role is gone"}
    assert moto.execute({**execution, "causes": [cause]}) == ["Finalize", "Close", "Publish", "Settle"]
    assert moto.execute(execution) == ["Finalize", "Done"]


def test_event_publisher_puts_a_stream_record_on_the_bus(moto: MotoInstance, function: Call) -> None:
    answered = function("event_publisher", sample(EVENTS / "event_publisher" / "change.json", moto))
    assert answered == {"batchItemFailures": []}
    assert moto.waiting_messages("delivery") == 1


def test_unreadable_stream_record_does_not_block_the_rest_of_the_shard(moto: MotoInstance, function: Call) -> None:
    event = sample(EVENTS / "event_publisher" / "change.json", moto)
    (record,) = event["Records"]
    poison = deepcopy(record)
    poison["eventID"] = "poison"
    poison["dynamodb"]["NewImage"]["events"] = {"S": "not a list"}
    event["Records"] = [poison, record]
    assert function("event_publisher", event) == {"batchItemFailures": []}
    assert moto.waiting_messages("delivery") == 1


def test_webhook_delivery_sends_one_message_per_target(moto: MotoInstance, function: Call) -> None:
    moto.client().conversations.v1.configuration.webhooks().update(
        post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated"]
    )
    event = sample(EVENTS / "webhook_delivery" / "event.json", moto)
    assert function("webhook_delivery", event) == {"batchItemFailures": []}
    assert moto.waiting_messages("delivery") == 1


def test_failed_delivery_is_a_batch_item_failure(moto: MotoInstance, function: Call) -> None:
    """Nothing listens at the URL, so the delivery fails.

    The function needs a real receipt handle to change the visibility. Therefore the test receives the message first.
    """
    sqs, url = moto.deployment.client("sqs"), moto.deployment.values["DeliveryQueue"]
    event = sample(EVENTS / "webhook_delivery" / "delivery.json", moto)
    (record,) = event["Records"]
    sqs.send_message(QueueUrl=url, MessageBody=record["body"])
    (received,) = sqs.receive_message(QueueUrl=url)["Messages"]
    record["receiptHandle"] = received["ReceiptHandle"]
    assert function("webhook_delivery", event) == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    (attempt,) = moto.items("attempt#")
    assert attempt["error"].startswith("no connection")


def test_sweeper_returns_the_number_of_processed_resources(moto: MotoInstance, function: Call) -> None:
    assert function("sweeper", sample(EVENTS / "sweeper" / "every_minute.json", moto)) == 0


class EndingContext(FunctionContext):
    """A Lambda context whose time runs out.

    The first `questions` calls report enough remaining time. All later calls report too little.
    """

    def __init__(self, questions: int) -> None:
        super().__init__()
        self._questions = iter(range(questions))

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        return SWEEP_MARGIN_MILLISECONDS + (next(self._questions, None) is not None)


def test_sweeper_without_time_leaves_the_remaining_work_to_the_next_sweep(moto: MotoInstance, function: Call) -> None:
    conversations = moto.client().conversations.v1.conversations
    for _ in range(3):
        conversations.create().delete()
    event = sample(EVENTS / "sweeper" / "every_minute.json", moto)
    assert function("sweeper", event, EndingContext(0)) == 0
    assert len(moto.items("conversation")) == 3
    # The sweeper has enough time to take a conversation, but then not enough time to erase the conversation's items.
    assert function("sweeper", event, EndingContext(1)) == 1
    assert len(moto.items("conversation")) == 3
    forget_claims(moto)
    assert function("sweeper", event) == 3
    assert moto.items("conversation") == []


def forget_claims(moto: MotoInstance) -> None:
    """Make every conversation due now."""
    for item in moto.items("conversation"):
        key = Key(str(item["pk"]), str(item["sk"]))
        moto.table.update(Update(key, (Set(keys.DUE.sort, "2026-01-01T00:00:00.000Z"),)))


def test_schedule_has_an_event_for_each_shard(moto: MotoInstance, function: Call) -> None:
    """The schedule sends one event for each shard. Each event's invocation processes only this shard.

    Therefore no shard waits for another shard.
    """
    conversations = moto.client().conversations.v1.conversations
    for _ in range(20):
        conversations.create().delete()
    due = Counter(item[keys.DUE.partition] for item in moto.items("conversation"))
    events = [json.loads(event["Properties"]["Input"]) for event in functions()["sweeper"]["Events"].values()]
    assert [event["shard"] for event in events] == [*keys.DUE_SHARDS]
    assert [function("sweeper", event) for event in events] == [due[shard] for shard in keys.DUE_SHARDS]
    assert moto.items("conversation") == []
