"""Configuration/Webhooks, and that what is configured is called (reference, a.8 and d)."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from convoke.domain.connections import DEFAULT_RETRIES
from tests.support.examples import chat
from tests.support.instances import ORIGIN, Instance

URL = "https://hooks.example.com/twilio?tenant=7"


def configure(instance: Instance, *filters: str) -> None:
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(post_webhook_url=URL, filters=list(filters))


def test_an_account_starts_without_webhooks(instance: Instance) -> None:
    assert instance.call("GET", "/v1/Configuration/Webhooks").body == {
        "account_sid": instance.account.sid,
        "method": "POST",
        "filters": None,
        "pre_webhook_url": None,
        "post_webhook_url": None,
        "target": "webhook",
        "url": f"{ORIGIN}/v1/Configuration/Webhooks",
    }


def test_an_update_changes_what_it_names_and_leaves_the_rest(instance: Instance) -> None:
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(method="get", post_webhook_url=URL, filters=["onMessageAdded", "onUserAdded"])
    webhooks.update(pre_webhook_url="https://hooks.example.com/pre", target="Flex")
    fetched = webhooks.fetch()
    assert (fetched.method, fetched.target) == ("GET", "flex")
    assert fetched.filters == ["onMessageAdded", "onUserAdded"]
    assert (fetched.pre_webhook_url, fetched.post_webhook_url) == ("https://hooks.example.com/pre", URL)
    assert instance.call("POST", "/v1/Configuration/Webhooks", {"PostWebhookUrl": ""}).body["post_webhook_url"] is None


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ({"Method": "PUT"}, 50055, "Method"),
        ({"Filters": ["onMessageAdded", "onNothing"]}, 50054, "Filters[1]"),
        ({"PostWebhookUrl": "hooks.example.com"}, 50054, "PostWebhookUrl"),
        ({"PreWebhookUrl": "ftp://hooks.example.com/"}, 50054, "PreWebhookUrl"),
        ({"PostWebhookUrl": "http://[/"}, 50054, "PostWebhookUrl"),
        ({"Target": "pigeon"}, 20001, "Target"),
    ],
)
def test_wrong_settings_are_refused(
    instance: Instance, parameters: dict[str, object], code: int, parameter: str
) -> None:
    refused = instance.call("POST", "/v1/Configuration/Webhooks", parameters)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)


def test_the_state_event_comes_without_being_asked_for_and_is_signed(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated", "onConversationAdded", "onParticipantAdded")
    sid = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(2)).sid
    instance.work()
    (delivery,) = instance.receivers.posted
    payload = delivery.event.payload
    assert payload == {
        "EventType": "onConversationStateUpdated",
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "MessagingServiceSid": instance.account.default_messaging_service_sid,
        "ConversationSid": sid,
        "Source": "API",
        "StateFrom": "initializing",
        "StateTo": "active",
        "Reason": "EVENT",
        "StateUpdated": payload["StateUpdated"],
    }
    assert payload["StateUpdated"].endswith("Z")
    assert len(payload["StateUpdated"]) == len("2026-01-02T03:04:05.678Z")
    assert RequestValidator(instance.token).validate(URL, payload, instance.receivers.signatures[0])


def test_with_the_header_webhooks_hear_of_the_conversation_and_every_member(instance: Instance) -> None:
    configure(instance, "onConversationAdded", "onParticipantAdded")
    create = instance.client().conversations.v1.conversation_with_participants.create
    sid = create(participant=chat(3), x_twilio_webhook_enabled="true").sid
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    assert [payload["EventType"] for payload in payloads].count("onConversationAdded") == 1
    members = [payload for payload in payloads if payload["EventType"] == "onParticipantAdded"]
    assert sorted(payload["Identity"] for payload in members) == ["member 0", "member 1", "member 2"]
    assert {payload["ConversationSid"] for payload in payloads} == {sid}


def test_an_unknown_value_of_the_header_is_refused(instance: Instance) -> None:
    refused = instance.call("POST", "/v1/ConversationWithParticipants", {}, {"X-Twilio-Webhook-Enabled": "yes"})
    assert (refused.body["code"], refused.body["details"]["parameter"]) == (20001, "X-Twilio-Webhook-Enabled")


def test_an_event_that_is_not_listed_is_not_sent(instance: Instance) -> None:
    configure(instance, "onMessageAdded")
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert instance.receivers.posted == []


def test_a_failed_delivery_comes_again_and_counts_its_retries(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated")
    instance.receivers.statuses = [500, None, 429, 200]
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    for _ in range(DEFAULT_RETRIES + 2):
        instance.work()
        instance.forget_pauses()
    assert instance.receivers.retry_counts == [0, 1, 2, 3]
    assert len({delivery.event.id for delivery in instance.receivers.posted}) == 1
    assert instance.waiting_messages("delivery") == instance.waiting_messages("delivery-dlq") == 0
    attempts = [(item["number"], item.get("status"), item.get("error")) for item in instance.items("attempt#")]
    assert attempts == [(1, 500, None), (2, None, "no connection"), (3, 429, None), (4, 200, None)]


def test_an_attempt_is_recorded_before_the_call(instance: Instance) -> None:
    seen: list[dict[str, object]] = []
    configure(instance, "onConversationStateUpdated")
    instance.receivers.on_call = lambda: seen.extend(instance.items("attempt#"))
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert [(attempt["number"], attempt.get("status")) for attempt in seen] == [(1, None)]


def test_a_delivery_that_nobody_takes_ends_in_the_dead_letter_queue(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated")
    instance.receivers.statuses = [503] * 10
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    for _ in range(DEFAULT_RETRIES + 2):
        instance.work()
        instance.forget_pauses()
    assert len(instance.receivers.posted) == 1 + DEFAULT_RETRIES
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)


def test_a_refused_delivery_is_not_tried_again(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated")
    instance.receivers.statuses = [403]
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert instance.waiting_messages("delivery-dlq") == len(instance.receivers.posted) == 1
