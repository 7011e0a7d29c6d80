"""Twilio Programmable Messaging passes messages from phones to Convoke.

See docs/behaviour/inbound-messages.md#carriers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from convoke.embedded.gateway import RequestContext
from tests.api.test_concurrency import api_on
from tests.support.instances import ORIGIN, Instance, call, event_of
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE, configure
from tests.support.tables import ministack_table

TOKEN = "0123456789abcdef0123456789abcdef"
TWILIO_ACCOUNT = "AC" + "9" * 32
SID = "SM" + "0" * 32


def create_sender(instance: Instance, address: str = BUSINESS, token: str = TOKEN) -> str:
    """Create a sender whose carrier is Twilio. Return the sender SID."""
    form = {"Address": address, "Provider": "twilio", "Twilio.AccountSid": TWILIO_ACCOUNT, "Twilio.AuthToken": token}
    created = instance.call("POST", "/convoke/v1/Senders", form)
    assert created.status == 201, created.text
    return str(created.body["sid"])


def deliver(
    instance: Instance, sender_sid: str, token: str = TOKEN, origin: str = ORIGIN, **changed: str
) -> dict[str, Any]:
    """Call Convoke's webhook for incoming messages, with Twilio's signature. Return the response."""
    parameters = {
        "MessageSid": SID,
        "SmsSid": SID,
        "AccountSid": TWILIO_ACCOUNT,
        "From": PHONE,
        "To": BUSINESS,
        "Body": "Hello",
        "NumMedia": "0",
        **changed,
    }
    return instance.api(webhook(sender_sid, parameters, token, origin), RequestContext())


def webhook(sender_sid: str, parameters: dict[str, str], token: str = TOKEN, origin: str = ORIGIN) -> dict[str, Any]:
    """Return a webhook call as an API Gateway event.

    Twilio signed the call for the base URL `origin`.
    """
    path = f"/convoke/v1/Inbound/Twilio/{sender_sid}"
    signature = RequestValidator(token).compute_signature(origin + path, parameters)
    return event_of("POST", ORIGIN + path, data=parameters, headers={"X-Twilio-Signature": signature})


def messages(instance: Instance) -> list[dict[str, Any]]:
    return instance.items("message#")


@pytest.mark.each_engine
def test_incoming_message_creates_a_conversation_and_is_stored_once(instance: Instance) -> None:
    sid = create_sender(instance)
    configure(instance)
    answered = deliver(instance, sid)
    assert (answered["statusCode"], answered["headers"]["Content-Type"]) == (200, "text/xml")
    assert answered["body"] == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert deliver(instance, sid)["statusCode"] == 200
    (stored,) = messages(instance)
    assert (stored["author"], stored["body"]) == (PHONE, "Hello")
    deliver(instance, sid, MessageSid="SM" + "1" * 32, Body="Anybody?")
    (conversation,) = instance.client().conversations.v1.conversations.list()
    listed = instance.client().conversations.v1.conversations(conversation.sid).messages.list()
    assert [message.body for message in listed] == ["Hello", "Anybody?"]
    instance.work()


@pytest.mark.each_engine
def test_group_mms_creates_a_group(instance: Instance) -> None:
    sid = create_sender(instance)
    configure(instance)
    deliver(instance, sid, OtherRecipients0=OTHER_PHONE)
    (conversation,) = instance.client().conversations.v1.conversations.list()
    participants = instance.client().conversations.v1.conversations(conversation.sid).participants.list()
    addresses = [each.messaging_binding.get("address") for each in participants]
    assert sorted(map(str, addresses)) == sorted([PHONE, OTHER_PHONE, "None"])


def test_request_without_twilios_signature_is_refused(instance: Instance) -> None:
    sid = create_sender(instance)
    configure(instance)
    assert deliver(instance, sid, token="0" * 32)["statusCode"] == 403
    for unknown in ("XE" + "0" * 32, "SM" + "0" * 32, "nothing"):
        assert deliver(instance, unknown)["statusCode"] == 403
    event = event_of("POST", f"{ORIGIN}/convoke/v1/Inbound/Twilio/{sid}", data={"From": PHONE})
    assert instance.api(event, RequestContext())["statusCode"] == 403
    assert deliver(instance, sid, origin="https://elsewhere.example.com")["statusCode"] == 403
    assert messages(instance) == []


def test_sender_without_a_carrier_gets_no_message_of_twilio(instance: Instance) -> None:
    created = instance.call("POST", "/convoke/v1/Senders", {"Address": BUSINESS, "Provider": "simulated"})
    assert deliver(instance, created.body["sid"])["statusCode"] == 403


def test_message_to_another_number_is_not_stored(instance: Instance) -> None:
    """The webhook's URL identifies a sender. Convoke stores only messages to that sender's number."""
    sid = create_sender(instance)
    configure(instance, "+15017122662")
    assert deliver(instance, sid, To="+15017122662")["statusCode"] == 200
    assert messages(instance) == []


@pytest.mark.parametrize("changed", [{"From": "72345"}, {"MessageSid": ""}, {"Body": ""}, {"Body": "x" * 1601}])
def test_message_that_cannot_be_stored_is_logged_and_not_delivered_again(
    instance: Instance, caplog: pytest.LogCaptureFixture, changed: dict[str, str]
) -> None:
    sid = create_sender(instance)
    configure(instance)
    assert deliver(instance, sid, **changed)["statusCode"] == 200
    assert messages(instance) == []
    assert any(record.getMessage().startswith("an inbound message") for record in caplog.records)
    assert PHONE not in caplog.text


WRITERS = 20


@pytest.mark.xdist_group("ministack")
@pytest.mark.parametrize("others", [{}, {"OtherRecipients0": OTHER_PHONE}], ids=["one-to-one", "group"])
def test_simultaneous_first_messages_on_dynamodb_make_one_conversation(
    ministack_url: str, others: dict[str, str]
) -> None:
    """All writers deliver a message at the same time. Half of the writers work in pairs.

    Both writers of a pair deliver the same message. Each other writer delivers its own message. After a 503, the writer
    delivers the message again, as Twilio does.
    """
    with ministack_table(ministack_url) as table, api_on(table) as (api, credentials):

        def post(path: str, form: dict[str, str]) -> Any:
            answered = call(api, "POST", ORIGIN + path, auth=credentials, data=form)
            assert answered.status == 201, answered.text
            return answered.body

        twilio = {"Provider": "twilio", "Twilio.AccountSid": TWILIO_ACCOUNT, "Twilio.AuthToken": TOKEN}
        sid = post("/convoke/v1/Senders", {"Address": BUSINESS, **twilio})["sid"]
        configuration = {"Type": "sms", "Address": BUSINESS, "AutoCreation.Enabled": "true"}
        post("/v1/Configuration/Addresses", configuration)
        together = Barrier(WRITERS)

        def write(writer: int) -> None:
            message = str(writer // 2) if writer < WRITERS // 2 else str(writer)
            form = {"MessageSid": message, "From": PHONE, "To": BUSINESS, "Body": message, **others}
            together.wait()
            while (status := api(webhook(sid, form), RequestContext())["statusCode"]) == 503:
                pass
            assert status == 200

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        conversations = call(api, "GET", f"{ORIGIN}/v1/Conversations", auth=credentials).body["conversations"]
        (conversation,) = conversations
        path = f"{ORIGIN}/v1/Conversations/{conversation['sid']}/Messages"
        listed = call(api, "GET", path, auth=credentials).body["messages"]
        expected = {*range(WRITERS // 4), *range(WRITERS // 2, WRITERS)}
        assert sorted(int(message["body"]) for message in listed) == sorted(expected)
