"""The function of inbound messages stores what AWS End User Messaging SMS publishes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convoke.domain.senders import Provider, Sender
from convoke.storage.senders import SenderRepository
from tests.functions.test_handlers import EVENTS, Call, function, moto, sample
from tests.support.aws import MotoInstance
from tests.support.phones import BUSINESS, PHONE, configure

__all__ = ["function", "moto"]


def assign(moto: MotoInstance, address: str = BUSINESS) -> None:
    """Assign a phone number of the AWS account to the account of the instance."""
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
    """Lambda sends the event of a failed invocation to the dead-letter queue."""
    event = sample(EVENTS / "inbound_messages" / "message.json", moto)
    event["Records"][0]["Sns"]["Message"] = "no JSON"
    with pytest.raises(ValueError, match="Expecting value"):
        function("inbound_messages", event)
