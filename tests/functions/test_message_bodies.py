"""Queue messages contain only characters that SQS accepts, whatever clients send (aws/message_bodies.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.aws.message_bodies import escape_noncharacters
from tests.support.aws import MotoInstance, moto_instance

ACCEPTED_BY_SQS = "[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*"
"""Matches the texts that SQS accepts.

See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
"""

TEXT = "\x00 \x1f \x7f \ufffd \ufffe \uffff \U0001fffe 😀"


@pytest.fixture
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


def bodies(operation: str, request: dict[str, Any]) -> list[str]:
    """Return the texts in an SQS or EventBridge request that become bodies of queue messages."""
    match operation:
        case "SendMessage":
            return [request["MessageBody"]]
        case "SendMessageBatch":
            return [entry["MessageBody"] for entry in request["Entries"]]
        case "PutEvents":
            return [entry["Detail"] for entry in request["Entries"]]
    return []


def test_sqs_accepts_every_message_and_the_text_arrives_unchanged(moto: MotoInstance) -> None:
    sent: dict[str, list[str]] = {}

    def note(params: dict[str, Any], model: Any, **_: object) -> None:
        sent.setdefault(model.name, []).extend(bodies(model.name, params))

    clients = [
        moto.edges("api").participant_queue.client,
        moto.edges("webhook_delivery").delivery_queue.client,
        moto.edges("event_publisher").event_bus.client,
    ]
    for client in clients:
        client.meta.events.register("provide-client-params.*.*", note)
    webhook = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onMessageAdded"}
    moto.call("POST", "/v1/Configuration/Webhooks", webhook)
    participant = json.dumps({"identity": TEXT})
    create = {"FriendlyName": TEXT, "Participant": participant}
    sid = moto.call("POST", "/v1/ConversationWithParticipants", create).body["sid"]
    moto.work()
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    moto.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": TEXT}, headers)
    moto.work()
    (posted,) = moto.receivers.posted
    assert posted.parameters["Body"] == TEXT
    assert {name for name, texts in sent.items() if any("\\uffff" in text for text in texts)} == {
        "SendMessage",
        "SendMessageBatch",
        "PutEvents",
    }
    for text in (text for texts in sent.values() for text in texts):
        assert re.fullmatch(ACCEPTED_BY_SQS, text)
    (participant,) = moto.call("GET", f"/v1/Conversations/{sid}/Participants").body["participants"]
    assert participant["identity"] == TEXT


@given(st.text())
def test_escaped_text_is_accepted_by_sqs_and_has_the_same_meaning(text: str) -> None:
    escaped = escape_noncharacters(json.dumps(text, ensure_ascii=False))
    assert json.loads(escaped) == text
    assert re.fullmatch(ACCEPTED_BY_SQS, escaped)
