"""The receiver of a pre-event can modify or refuse the requested change.

See docs/behaviour/webhook-delivery.md#pre-events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from convoke.domain.events import EventType
from convoke.storage.alerts import AlertRepository
from convoke.webhooks.answers import WebhookLateError, WebhookUnreachableError
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import EmbeddedInstance, Instance, held_instance, refusal

URL = "https://hooks.example.com/pre"

PRE = [event.value for event in EventType if event.endswith(("Add", "Update", "Remove"))]

WITH = {"x_twilio_webhook_enabled": "true"}

HEADER = {"X-Twilio-Webhook-Enabled": "true"}


@pytest.fixture
def receiving(instance: Instance) -> Instance:
    """Configure the instance to send every pre-event and no other event."""
    return receive_pre_events(instance)


def receive_pre_events(instance: Instance) -> Instance:
    instance.client().conversations.v1.configuration.webhooks().update(pre_webhook_url=URL, filters=PRE)
    return instance


def sent_pre_events(instance: Instance) -> list[dict[str, str]]:
    """Return the parameters of the pre-events that were sent since the last call."""
    posted = [dict(delivery.event.payload) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return posted


def answer(instance: Instance, body: object, status: int = 200) -> None:
    """Make the receiver answer the next pre-event with `status` and `body`."""
    instance.receivers.statuses = [status]
    instance.receivers.bodies = [body if isinstance(body, bytes) else json.dumps(body).encode()]


@dataclass
class Change:
    """A kind of change that causes a pre-event."""

    event_type: str
    make: Callable[[Any], Any]
    """Requests the change for a `Populated` conversation. A test can call this function several times."""


def changes() -> Iterator[Change]:
    yield Change("onConversationAdd", lambda it: it.post("/v1/Conversations", FriendlyName="x"))
    yield Change("onConversationAdd", lambda it: it.post("/v1/ConversationWithParticipants", Participant=chat(2)))
    yield Change("onConversationUpdate", lambda it: it.post(it.path, FriendlyName="x"))
    yield Change("onConversationRemove", lambda it: it.delete(it.path))
    yield Change("onParticipantAdd", lambda it: it.post(f"{it.path}/Participants", Identity="dora"))
    yield Change("onParticipantUpdate", lambda it: it.post(it.participant, Attributes="{}"))
    yield Change("onParticipantRemove", lambda it: it.delete(it.participant))
    yield Change("onMessageAdd", lambda it: it.post(f"{it.path}/Messages", Body="x"))
    yield Change("onMessageUpdate", lambda it: it.post(it.message, Body="x"))
    yield Change("onMessageRemove", lambda it: it.delete(it.message))


EVERY_CHANGE = pytest.mark.parametrize(
    "change", [pytest.param(each, id=f"{number}-{each.event_type}") for number, each in enumerate(changes())]
)


class Populated:
    """A conversation with participants and a message, and methods that request changes."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.headers = HEADER
        v1 = instance.client().conversations.v1
        sid = v1.conversation_with_participants.create(friendly_name="before", participant=CHAT_AND_SMS).sid
        instance.work()
        self.path = f"/v1/Conversations/{sid}"
        (alice,) = [each for each in v1.conversations(sid).participants.list() if each.identity]
        self.participant = f"{self.path}/Participants/{alice.sid}"
        self.message = f"{self.path}/Messages/{v1.conversations(sid).messages.create(body='before').sid}"
        sent_pre_events(instance)

    def post(self, path: str, **data: object) -> Any:
        return self._instance.call("POST", path, data, self.headers)

    def delete(self, path: str) -> Any:
        return self._instance.call("DELETE", path, headers=self.headers)


@EVERY_CHANGE
def test_every_change_sends_one_pre_event(receiving: Instance, change: Change) -> None:
    assert change.make(Populated(receiving)).status in (200, 201, 202, 204)
    (pre_event,) = sent_pre_events(receiving)
    assert pre_event["EventType"] == change.event_type


@EVERY_CHANGE
def test_no_pre_event_is_sent_without_header(receiving: Instance, change: Change) -> None:
    it = Populated(receiving)
    it.headers = {}
    assert change.make(it).status in (200, 201, 202, 204)
    assert sent_pre_events(receiving) == []


@EVERY_CHANGE
def test_refusal_by_receiver_refuses_the_request_and_stores_nothing(receiving: Instance, change: Change) -> None:
    it = Populated(receiving)
    before = receiving.items("")
    answer(receiving, {}, 403)
    refused = change.make(it)
    assert (refused.status, refused.body["code"]) == (400, 50056)
    assert receiving.items("") == before


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_every_status_but_2xx_refuses_the_request(receiving: Instance, status: int) -> None:
    it = Populated(receiving)
    answer(receiving, {}, status)
    assert it.post(it.path, FriendlyName="x").body["code"] == 50056


@EVERY_CHANGE
def test_unreachable_receiver_does_not_stop_the_change(receiving: Instance, change: Change) -> None:
    it = Populated(receiving)
    receiving.receivers.statuses = [None]
    assert change.make(it).status in (200, 201, 202, 204)


@pytest.mark.parametrize(
    ("error", "code"), [(WebhookLateError("no answer within 5 s"), "50076"), (WebhookUnreachableError("x"), "50057")]
)
def test_unreachable_receiver_creates_alert(receiving: Instance, error: WebhookUnreachableError, code: str) -> None:
    it = Populated(receiving)
    receiving.receivers.statuses = [error]
    assert it.post(it.path, FriendlyName="x").status == 200
    (alert,) = receiving.call("GET", "/v1/Alerts").body["alerts"]
    assert (alert["error_code"], alert["request_url"]) == (code, URL)


def test_failing_alert_write_does_not_stop_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(AlertRepository, "create", broken)
    with held_instance() as instance:
        instance.client().conversations.v1.configuration.webhooks().update(pre_webhook_url=URL, filters=PRE)
        it = Populated(instance)
        instance.receivers.statuses = [None]
        assert it.post(it.path, FriendlyName="x").status == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, {}),
        (200, []),
        (200, "x"),
        (200, {"friendly_name": None, "body": None, "unknown": 1}),
        (200, b"{"),
        (200, b"[" * 200_000),
        (201, {"friendly_name": "other", "body": "other"}),
        (204, {"friendly_name": "other", "body": "other"}),
    ],
)
def test_response_without_changes_keeps_the_request(receiving: Instance, status: int, body: object) -> None:
    it = Populated(receiving)
    answer(receiving, body, status)
    assert it.post(it.path, FriendlyName="mine").body["friendly_name"] == "mine"
    answer(receiving, body, status)
    assert it.post(f"{it.path}/Messages", Body="mine").body["body"] == "mine"


@pytest.mark.each_engine
def test_response_changes_friendly_name(receiving: Instance) -> None:
    it = Populated(receiving)
    for path in ("/v1/Conversations", "/v1/ConversationWithParticipants", it.path):
        answer(receiving, {"friendly_name": "theirs", "attributes": '{"theirs": 1}'})
        body = it.post(path, FriendlyName="mine", Attributes='{"mine": 1}').body
        assert (body["friendly_name"], body["attributes"]) == ("theirs", '{"mine": 1}')
        fetched = receiving.call("GET", f"/v1/Conversations/{body['sid']}").body
        assert fetched["friendly_name"] == "theirs"


@pytest.mark.each_engine
def test_response_changes_message_fields(receiving: Instance) -> None:
    it = Populated(receiving)
    theirs = {"body": "theirs", "author": "alice", "attributes": '{"theirs": 1}'}
    for path in (f"{it.path}/Messages", it.message):
        answer(receiving, theirs)
        body = it.post(path, Body="mine", Attributes='{"mine": 1}').body
        assert {name: body[name] for name in theirs} == theirs
        assert body["participant_sid"] == it.participant.rpartition("/")[2]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"body": "x" * 1601}, 50504),
        ({"author": "x" * 257}, 50310),
        ({"attributes": "{"}, 50304),
        ({"body": 7}, 20001),
        ({"body": ""}, 50503),
    ],
)
def test_invalid_response_field_refuses_the_request(receiving: Instance, reply: object, code: int) -> None:
    it = Populated(receiving)
    before = receiving.items("")
    for path in (f"{it.path}/Messages", it.message):
        answer(receiving, reply)
        refused = it.post(path, Body="mine")
        assert (refused.status, refused.body["code"]) == (400, code)
    assert receiving.items("") == before
    answer(receiving, {"friendly_name": "x" * 257})
    refused = it.post(it.path, FriendlyName="mine")
    assert (refused.body["code"], refused.body["details"]["parameter"]) == (50003, "PreWebhook.friendly_name")


def test_response_cannot_set_author_outside_the_group(receiving: Instance) -> None:
    v1 = receiving.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=GROUP_MMS).sid
    receiving.work()
    answer(receiving, {"author": "stranger"})
    messages = v1.conversations(sid).messages
    assert refusal(lambda: messages.create(author="+15017122661", body="x", **WITH)).code == 50513
    assert messages.list() == []


def test_pre_event_has_fields_of_the_requested_change(receiving: Instance) -> None:
    service = {
        "AccountSid": receiving.account.sid,
        "ChatServiceSid": receiving.account.default_chat_service_sid,
        "Source": "API",
    }
    messaging = {"MessagingServiceSid": str(receiving.account.default_messaging_service_sid)}
    v1 = receiving.client().conversations.v1
    sid = v1.conversations.create(friendly_name="Visit", unique_name="visit", **WITH).sid
    named = {"FriendlyName": "Visit", "UniqueName": "visit", "Attributes": "{}", "State": "active"}
    assert sent_pre_events(receiving) == [{"EventType": "onConversationAdd", **service, **messaging, **named}]
    v1.conversations(sid).update(friendly_name="Other", **WITH)
    (pre_event,) = sent_pre_events(receiving)
    dates = {name: pre_event.pop(name) for name in ("DateCreated", "DateUpdated")}
    assert all(date.endswith("Z") and "." in date for date in dates.values())
    expected = {**service, **messaging, **named, "FriendlyName": "Other", "ConversationSid": sid}
    assert pre_event == {"EventType": "onConversationUpdate", **expected}
    member = v1.conversations(sid).participants.create(identity="alice", attributes='{"a": 1}', **WITH)
    chat_member = {
        "ConversationSid": sid,
        "Identity": "alice",
        "RoleSid": member.role_sid,
        "Attributes": '{"a": 1}',
        "MessagingBinding.Type": "CHAT",
    }
    assert sent_pre_events(receiving) == [{"EventType": "onParticipantAdd", **service, **chat_member}]
    v1.conversations(sid).participants(member.sid).update(attributes="{}", **WITH)
    (pre_event,) = sent_pre_events(receiving)
    assert {"DateCreated", "DateUpdated"} < set(pre_event)
    of_member = chat_member | {"Attributes": "{}", "ParticipantSid": member.sid}
    assert pre_event.items() >= {"EventType": "onParticipantUpdate", **service, **of_member}.items()
    message = v1.conversations(sid).messages.create(author="alice", body="Hello", **WITH)
    worded = {
        "ConversationSid": sid,
        "Body": "Hello",
        "Author": "alice",
        "ParticipantSid": member.sid,
        "Attributes": "{}",
    }
    assert sent_pre_events(receiving) == [{"EventType": "onMessageAdd", **service, **worded}]
    v1.conversations(sid).messages(message.sid).update(body="Bye", **WITH)
    (pre_event,) = sent_pre_events(receiving)
    numbered = {"MessageSid": message.sid, "Index": "0", "Body": "Bye"}
    assert pre_event.items() >= {"EventType": "onMessageUpdate", **service, **worded, **numbered}.items()
    assert {"DateCreated", "DateUpdated"} < set(pre_event)


def test_state_update_sends_no_pre_event(receiving: Instance) -> None:
    it = Populated(receiving)
    assert it.post(it.path, State="inactive").status == 200
    assert sent_pre_events(receiving) == []


def test_pre_events_are_limited_to_filters(receiving: Instance) -> None:
    receiving.client().conversations.v1.configuration.webhooks().update(filters=["onMessageAdd"])
    it = Populated(receiving)
    it.post(it.path, FriendlyName="x")
    it.post(f"{it.path}/Messages", Body="x")
    assert [pre_event["EventType"] for pre_event in sent_pre_events(receiving)] == ["onMessageAdd"]


@pytest.mark.each_engine
def test_service_webhooks_replace_account_webhooks(receiving: Instance) -> None:
    v1 = receiving.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    service.conversations.create(**WITH)
    assert [delivery.url for delivery in receiving.receivers.posted] == [URL]
    service.configuration.webhooks().update(pre_webhook_url=f"{URL}/service", filters=PRE, method="GET")
    service.conversations.create(**WITH)
    delivery = receiving.receivers.posted[-1]
    assert (delivery.url, delivery.method, delivery.target) == (f"{URL}/service", "GET", "service")
    service.configuration.webhooks().update(pre_webhook_url="", post_webhook_url=f"{URL}/post")
    service.conversations.create(**WITH)
    assert len(receiving.receivers.posted) == 2


def test_invalid_request_is_refused_before_pre_event(receiving: Instance) -> None:
    it = Populated(receiving)
    for path, data in (
        (it.path, {"FriendlyName": "x" * 257}),
        (f"{it.path}/Participants", {"Identity": "x" * 257}),
        (f"{it.path}/Messages", {"Body": "x" * 1601}),
        (it.message, {"Body": ""}),
        ("/v1/ConversationWithParticipants", {"Participant": "{"}),
    ):
        assert it.post(path, **data).status == 400
    assert sent_pre_events(receiving) == []


@pytest.mark.each_engine
def test_retry_after_conflict_sends_no_second_pre_event(receiving: Instance) -> None:
    """Another request changes the conversation before the receiver answers."""
    it = Populated(receiving)
    v1 = receiving.client().conversations.v1
    sid = it.path.rpartition("/")[2]
    receiving.receivers.on_call = lambda: v1.conversations(sid).update(attributes='{"other": 1}')
    answer(receiving, {"friendly_name": "theirs"})
    assert it.post(it.path, FriendlyName="mine").status == 200
    fetched = v1.conversations(sid).fetch()
    assert (fetched.friendly_name, fetched.attributes) == ("theirs", '{"other": 1}')
    assert len(sent_pre_events(receiving)) == 1


@pytest.mark.each_engine
@pytest.mark.parametrize("path", ["/v1/Conversations", "/v1/ConversationWithParticipants"])
def test_repeated_request_with_an_idempotency_key_sends_no_second_pre_event(receiving: Instance, path: str) -> None:
    headers = {**HEADER, "Idempotency-Key": "1"}
    data = {"FriendlyName": "x"}
    first = receiving.call("POST", path, data, headers)
    assert len(sent_pre_events(receiving)) == 1
    again = receiving.call("POST", path, data, headers)
    assert (again.text, again.headers["Idempotent-Replayed"]) == (first.text, "true")
    assert sent_pre_events(receiving) == []


def test_other_requests_are_answered_while_pre_event_is_pending() -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        event_loop = asyncio.get_running_loop()

        def send_another() -> None:
            another = asyncio.run_coroutine_threadsafe(instance.asked("GET", "/v1/Conversations"), event_loop)
            assert another.result(10).status == 200

        instance.receivers.on_call = send_another
        async with instance.served():
            assert (await instance.asked("POST", "/v1/Conversations", **HEADER)).status == 201
        assert len(sent_pre_events(instance)) == 1

    with held_instance() as instance:
        receive_pre_events(instance)
        asyncio.run(scenario(instance))
