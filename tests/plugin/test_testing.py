"""Test the methods of `RunningInstance` (testing/instance.py) that the example project does not call.

The example project is in tests/plugin/example.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from urllib.request import Request, urlopen

import pytest
from twilio.base.exceptions import TwilioRestException

from convoke.domain import instants
from convoke.domain.errors import CATALOGUE
from convoke.domain.events import POST_EVENTS
from convoke.embedded.planned_failures import error_of
from convoke.embedded.suspension import RunAgainError
from convoke.testing.instance import RunningInstance, running
from tests.support.examples import CHAT_AND_SMS, chat


@pytest.fixture(scope="module")
def session() -> Iterator[RunningInstance]:
    with running() as instance:
        yield instance


@pytest.fixture
def instance(session: RunningInstance) -> Iterator[RunningInstance]:
    yield session
    session.reset()


def test_fail_participant_closes_the_conversation_and_records_the_codes(instance: RunningInstance) -> None:
    instance.fail_participant(0, 50407)
    instance.fail_participant(2, 50425)
    client = instance.client()
    failed = client.conversations.v1.conversation_with_participants.create(participant=chat(3)).sid
    instance.settle()
    response = client.request("GET", f"{instance.url}/convoke/v1/Conversations/{failed}/Provisioning", auth=client.auth)
    outcome = json.loads(response.text)
    assert [member.get("code") for member in outcome["participants"]] == [50407, None, 50425]
    assert outcome["status"] == "failed"


BUSINESS = "+15017122661"


def test_phone_sends_messages(instance: RunningInstance) -> None:
    phone = instance.phone("+15558675310")
    assert phone.send("Hello", BUSINESS).outcome == "unclaimed"
    v1 = instance.client().conversations.v1
    v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
    sent = phone.send("Hello", BUSINESS)
    message = v1.conversations(sent.conversation_sid).messages(sent.message_sid).fetch()
    assert (message.author, message.body) == (phone.number, "Hello")
    assert instance.wait_for_webhook("onMessageAdded").parameters["Source"] == "SMS"
    for receiver in ("5017122661", phone.number):
        with pytest.raises(ValueError, match="address") as refused:
            phone.send("Hello", receiver)
        assert "\n" not in str(refused.value)


def test_phone_without_a_valid_number_raises_value_error(instance: RunningInstance) -> None:
    with pytest.raises(ValueError, match="'5558675310' is not the address of a phone"):
        instance.phone("5558675310")


def test_phone_gets_messages(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
    phone = instance.phone("+15558675310")
    assert phone.inbox == []
    sent = phone.send("Hello", BUSINESS)
    answer = v1.conversations(sent.conversation_sid).messages.create(author="support", body="Hi there")
    instance.settle()
    (got,) = phone.inbox
    assert (got.from_, got.body, got.message_sid) == (BUSINESS, "Hi there", answer.sid)
    assert instance.wait_for_webhook("onDeliveryUpdated", Status="delivered").parameters["MessageSid"] == answer.sid


def test_phone_asks_the_receiver_of_pre_events(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
    instance.receiver.answer(403, event_type="onConversationAdd")
    assert instance.phone("+15558675310").send("Hello", BUSINESS).outcome == "rejected"


class LockedTable:
    """Simulates the write lock of another process. While `is_locked` is true, `begin` fails."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.is_locked = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def begin(self) -> None:
        if self.is_locked:
            raise RunAgainError
        self._table.begin()


def test_fail_participant_affects_only_the_next_conversation(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    create = v1.conversation_with_participants.create
    # The lock keeps the steps of the first conversation waiting until `fail_participant` has been called.
    table = LockedTable(instance._engine.table)
    instance._engine.steps.table = table  # type: ignore[assignment]
    first = create(participant=chat(1)).sid
    instance.fail_participant(0, 50407)
    second, third = create(participant=chat(1)).sid, create(participant=chat(1)).sid
    table.is_locked = False
    instance.settle()
    assert [v1.conversations(sid).fetch().state for sid in (first, second, third)] == ["active", "closed", "active"]


def test_fail_participant_with_unknown_code_raises_value_error(instance: RunningInstance) -> None:
    with pytest.raises(ValueError, match="99999"):
        instance.fail_participant(0, 99999)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_error_of_the_catalogue_can_be_created(code: int) -> None:
    assert error_of(CATALOGUE[code]).code == code


def test_wait_for_webhook_names_the_received_webhooks_when_it_fails(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    instance.settle()
    with pytest.raises(AssertionError, match=r"onMessageAdded.*onConversationStateUpdated"):
        instance.wait_for_webhook("onMessageAdded", timeout=0.01)
    with pytest.raises(AssertionError, match="closed"):
        instance.wait_for_webhook("onConversationStateUpdated", timeout=0.01, StateTo="closed")


def test_wait_for_webhook_says_that_the_header_was_missing(instance: RunningInstance) -> None:
    create = instance.client().conversations.v1.conversations.create
    sids = [create().sid, create(x_twilio_webhook_enabled="true").sid]
    messages = []
    for sid in (*sids, "CH0"):
        with pytest.raises(AssertionError) as failed:
            instance.wait_for_webhook("onConversationAdded", timeout=0.01, ConversationSid=sid, State="closed")
        assert "X-Twilio-Webhook-Enabled" not in str(failed.value)
        try:
            instance.wait_for_webhook("onConversationAdded", timeout=0.1, ConversationSid=sid)
            messages.append("arrived")
        except AssertionError as error:
            messages.append("header" if "X-Twilio-Webhook-Enabled: true" in str(error) else "nothing")
    assert messages == ["header", "arrived", "nothing"]


def test_answer_without_a_final_status_raises_value_error(instance: RunningInstance) -> None:
    for status in (0, 100, 199, 600, 999):
        with pytest.raises(ValueError, match=str(status)):
            instance.receiver.answer(status)


def test_instance_receives_every_post_event(instance: RunningInstance) -> None:
    assert {"onConversationAdded", "onConversationStateUpdated", "onDeliveryUpdated"} < set(POST_EVENTS)
    assert "onConversationAdd" not in POST_EVENTS
    configured = instance.client().conversations.v1.configuration.webhooks().fetch()
    assert configured.filters == [*POST_EVENTS]


def test_settle_raises_timeout_error_while_work_is_left(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="http://127.0.0.1:9/")
    v1.conversations.create(x_twilio_webhook_enabled="true")
    with pytest.raises(TimeoutError):
        instance.settle(timeout=0.1)


def test_clock_moves_over_http_and_reset_sets_it_back(instance: RunningInstance) -> None:
    def present() -> datetime:
        client = instance.client()
        response = client.request("GET", f"{instance.url}/convoke/v1/Clock", auth=client.auth)
        return datetime.fromisoformat(json.loads(response.text)["now"])

    client = instance.client()
    client.request("POST", f"{instance.url}/convoke/v1/Clock", data={"Advance": "PT1H"}, auth=client.auth)
    assert (present() - instants.now()).total_seconds() > 3000
    instance.reset()
    assert abs((present() - instants.now()).total_seconds()) < 600


def created_conversation(instance: RunningInstance) -> str:
    return str(instance.client().conversations.v1.conversations.create(x_twilio_webhook_enabled="true").sid)


def test_received_webhook_has_its_request_and_the_check_of_its_signature(instance: RunningInstance) -> None:
    created_conversation(instance)
    webhook = instance.wait_for_webhook("onConversationAdded")
    assert (webhook.url, webhook.method, webhook.signature_valid) == (instance.receiver.url, "POST", True)
    assert dict(parse_qsl(webhook.body, keep_blank_values=True)) == webhook.parameters
    forged = Request(webhook.url, data=b"EventType=onUserAdded", headers={"X-Twilio-Signature": "forged"})
    urlopen(forged).close()
    assert not instance.wait_for_webhook("onUserAdded").signature_valid


def test_webhooks_with_method_get_are_received(instance: RunningInstance) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(method="GET")
    sid = created_conversation(instance)
    webhook = instance.wait_for_webhook("onConversationAdded", ConversationSid=sid)
    assert (webhook.method, webhook.body, webhook.signature_valid) == ("GET", "", True)


def test_refused_delivery_is_repeated_when_the_clock_moves(instance: RunningInstance) -> None:
    instance.receiver.answer(500, times=2)
    created_conversation(instance)
    instance.advance("PT1M")
    instance.settle()
    assert [webhook.parameters["RetryCount"] for webhook in instance.received_webhooks] == ["0", "1", "2"]


def test_receiver_answers_pre_events(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(v1.conversations.create().sid)
    instance.receiver.answer(403, event_type="onMessageAdd")
    instance.receiver.answer(200, {"body": "Changed"}, event_type="onMessageAdd")
    with pytest.raises(TwilioRestException) as refused:
        conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
    assert refused.value.code == 50056
    assert conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true").body == "Changed"


def test_held_conversation_stays_initializing_until_it_is_released(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    instance.hold()
    sid = v1.conversation_with_participants.create(participant=chat(1)).sid
    instance.settle()
    assert v1.conversations(sid).fetch().state == "initializing"
    instance.release()
    instance.settle()
    assert v1.conversations(sid).fetch().state == "active"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda instance: instance.wait_for_webhook("onMessageAded"), "did you mean onMessageAdd"),
        (
            lambda instance: instance.receiver.answer(500, event_type="x"),
            "the event types are onConv",
        ),
        (lambda instance: instance.advance("10m"), "'10m' is not an ISO 8601 duration"),
        (lambda instance: instance.advance(-timedelta(seconds=1)), "the clock can only be moved forward"),
    ],
)
def test_mistake_in_a_name_or_duration_fails_at_once(
    instance: RunningInstance, mistake: Callable[[RunningInstance], object], message: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=message):
        mistake(instance)
    assert time.monotonic() - begun < 5


def test_client_reads_alerts_of_the_instance(instance: RunningInstance) -> None:
    instance.fail_participant(0, 50407)
    client = instance.client()
    client.conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.settle()
    (alert,) = client.monitor.v1.alerts.list()
    assert alert.error_code == "50427"
