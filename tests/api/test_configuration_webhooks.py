"""`/v1/Configuration/Webhooks` configures the account's webhooks.

Convoke retries a failed delivery, unless the status of the response is final, for example 400.

See docs/behaviour/configuration-webhooks.md.
"""

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


def test_account_starts_without_webhooks(instance: Instance) -> None:
    assert instance.call("GET", "/v1/Configuration/Webhooks").body == {
        "account_sid": instance.account.sid,
        "method": "POST",
        "filters": None,
        "pre_webhook_url": None,
        "post_webhook_url": None,
        "target": "webhook",
        "url": f"{ORIGIN}/v1/Configuration/Webhooks",
    }


@pytest.mark.each_engine
def test_update_changes_given_fields_only(instance: Instance) -> None:
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
def test_invalid_webhook_configuration_is_refused(
    instance: Instance, parameters: dict[str, object], code: int, parameter: str
) -> None:
    refused = instance.call("POST", "/v1/Configuration/Webhooks", parameters)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)


@pytest.mark.each_engine
def test_state_event_is_delivered_without_header_and_signed(instance: Instance) -> None:
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


@pytest.mark.each_engine
def test_header_enables_conversation_and_participant_events(instance: Instance) -> None:
    configure(instance, "onConversationAdded", "onParticipantAdded")
    create = instance.client().conversations.v1.conversation_with_participants.create
    sid = create(participant=chat(3), x_twilio_webhook_enabled="true").sid
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    assert [payload["EventType"] for payload in payloads].count("onConversationAdded") == 1
    members = [payload for payload in payloads if payload["EventType"] == "onParticipantAdded"]
    assert sorted(payload["Identity"] for payload in members) == ["member 0", "member 1", "member 2"]
    assert {payload["ConversationSid"] for payload in payloads} == {sid}


def test_invalid_webhook_enabled_header_is_refused(instance: Instance) -> None:
    refused = instance.call("POST", "/v1/ConversationWithParticipants", {}, {"X-Twilio-Webhook-Enabled": "yes"})
    assert (refused.body["code"], refused.body["details"]["parameter"]) == (20001, "X-Twilio-Webhook-Enabled")


def test_event_outside_filters_is_not_delivered(instance: Instance) -> None:
    configure(instance, "onMessageAdded")
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert instance.receivers.posted == []


@pytest.mark.each_engine
def test_failed_delivery_is_retried_and_counts_retries(instance: Instance) -> None:
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


@pytest.mark.each_engine
def test_attempt_is_recorded_before_the_call(instance: Instance) -> None:
    seen: list[dict[str, object]] = []
    configure(instance, "onConversationStateUpdated")
    instance.receivers.on_call = lambda: seen.extend(instance.items("attempt#"))
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert [(attempt["number"], attempt.get("status")) for attempt in seen] == [(1, None)]


@pytest.mark.each_engine
def test_delivery_that_keeps_failing_goes_to_dead_letter_queue(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated")
    instance.receivers.statuses = [503] * 10
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    for _ in range(DEFAULT_RETRIES + 2):
        instance.work()
        instance.forget_pauses()
    assert len(instance.receivers.posted) == 1 + DEFAULT_RETRIES
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)


@pytest.mark.each_engine
def test_delivery_refused_with_4xx_is_not_retried(instance: Instance) -> None:
    configure(instance, "onConversationStateUpdated")
    instance.receivers.statuses = [403]
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    assert instance.waiting_messages("delivery-dlq") == len(instance.receivers.posted) == 1
