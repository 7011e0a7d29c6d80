"""`functions/inbound_messages` stores the messages and statuses of AWS End User Messaging SMS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convoke.domain.aws_statuses import context_of
from convoke.domain.receipts import Receipt
from convoke.domain.senders import Provider, Sender
from convoke.storage import items
from convoke.storage.senders import SenderRepository
from tests.functions.test_handlers import EVENTS, Call, function, moto, sample
from tests.support.aws import MotoInstance
from tests.support.examples import CHAT_AND_SMS
from tests.support.phones import BUSINESS, PHONE, configure, conversation_with

__all__ = ["function", "moto"]


def assign(moto: MotoInstance, address: str = BUSINESS) -> None:
    """Assign a phone number of the AWS account to the instance's Convoke account."""
    now = moto.account.date_created
    sender = Sender(
        account_sid=moto.account.sid,
        sid="XE" + "0" * 32,
        address=address,
        provider=Provider.AWS,
        date_created=now,
        date_updated=now,
    )
    SenderRepository(moto.table).create(sender)


def notification(moto: MotoInstance, **changed: object) -> dict[str, Any]:
    event = sample(EVENTS / "inbound_messages" / "message.json", moto)
    (record,) = event["Records"]
    record["Sns"]["Message"] = json.dumps({**json.loads(record["Sns"]["Message"]), **changed})
    return event


def test_message_of_a_phone_creates_a_conversation_and_is_stored_once(moto: MotoInstance, function: Call) -> None:
    assign(moto)
    configure(moto)
    for _ in range(2):
        assert function("inbound_messages", notification(moto)) is None
    (message,) = moto.items("message#")
    assert (message["author"], message["body"]) == (PHONE, "Hello")
    (change,) = moto.changes()
    assert [event["type"] for event in change["events"]] == [
        "onConversationAdded",
        "onParticipantAdded",
        "onMessageAdded",
    ]


def test_message_to_a_number_that_no_account_has_is_not_stored(moto: MotoInstance, function: Call) -> None:
    configure(moto)
    function("inbound_messages", notification(moto))
    assert moto.items("message#") == []


def test_message_of_a_short_code_is_not_stored(moto: MotoInstance, function: Call) -> None:
    assign(moto)
    configure(moto)
    function("inbound_messages", notification(moto, originationNumber="72345"))
    assert moto.items("message#") == []


def test_notification_that_is_not_json_goes_to_the_dead_letter_queue(moto: MotoInstance, function: Call) -> None:
    """The function raises an error, so that Lambda sends the event to the dead-letter queue."""
    event = sample(EVENTS / "inbound_messages" / "message.json", moto)
    event["Records"][0]["Sns"]["Message"] = "no JSON"
    with pytest.raises(ValueError, match="Expecting value"):
        function("inbound_messages", event)


def delivery_event(moto: MotoInstance, **changed: object) -> dict[str, Any]:
    event = sample(EVENTS / "inbound_messages" / "delivery.json", moto)
    (record,) = event["Records"]
    record["Sns"]["Message"] = json.dumps({**json.loads(record["Sns"]["Message"]), **changed})
    return event


def test_delivery_event_moves_the_receipt_forward(moto: MotoInstance, function: Call) -> None:
    moto.phone_plans.plan(moto.account.sid, PHONE, failures=0, reports_delivery=False)
    message = conversation_with(moto, *CHAT_AND_SMS).messages.create(body="Hello")
    moto.work()
    (stored,) = moto.items("receipt#")
    context = context_of(items.to_resource(Receipt, stored))
    function("inbound_messages", delivery_event(moto, context=context, eventType="TEXT_PENDING"))
    function("inbound_messages", delivery_event(moto, context=context))
    function("inbound_messages", delivery_event(moto, context=context, eventType="TEXT_SENT"))
    assert [receipt["status"] for receipt in moto.items("receipt#")] == ["delivered"]
    fetched = moto.client().conversations.v1.conversations(message.conversation_sid).messages(message.sid).fetch()
    assert fetched.delivery["delivered"] == "all"


def test_delivery_event_of_a_failure_has_a_code_of_twilio(moto: MotoInstance, function: Call) -> None:
    moto.phone_plans.plan(moto.account.sid, PHONE, failures=0, reports_delivery=False)
    conversation_with(moto, *CHAT_AND_SMS).messages.create(body="Hello")
    moto.work()
    context = context_of(items.to_resource(Receipt, moto.items("receipt#")[0]))
    function("inbound_messages", delivery_event(moto, context=context, eventType="TEXT_CARRIER_BLOCKED"))
    (receipt,) = moto.items("receipt#")
    assert (receipt["status"], receipt["error_code"]) == ("undelivered", 30007)


def test_delivery_event_of_an_unknown_message_is_ignored(moto: MotoInstance, function: Call) -> None:
    assert function("inbound_messages", delivery_event(moto)) is None
    assert function("inbound_messages", delivery_event(moto, context={"campaign": "other"})) is None
    assert moto.changes() == []
