"""Whom an event is told: account or service, and the webhooks of its conversation (reference, d.1 to d.3 and d.7)."""

from __future__ import annotations

from typing import Any

import pytest

from convoke.aws import delivery_queue
from convoke.domain.errors import InvalidRoleSidError
from tests.support.deletions import AT_ONCE
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import Answer, Instance, held_instance

ACCOUNT = "https://hooks.example.com/account"
SERVICE = "https://hooks.example.com/service"
OWN = "https://hooks.example.com/own"

WITH = {"x_twilio_webhook_enabled": "true"}
HEADER = {"X-Twilio-Webhook-Enabled": "true"}

EVENTS = ["onMessageAdded", "onConversationStateUpdated", "onConversationUpdated", "onConversationRemoved"]


@pytest.fixture
def conversation(instance: Instance) -> Any:
    v1 = instance.client().conversations.v1
    return v1.conversations(v1.conversations.create().sid)


def hook(conversation: Any, number: int = 0, **configuration: Any) -> str:
    """The SID of a new webhook."""
    given = {"target": "webhook", "configuration_filters": EVENTS, "configuration_url": f"{OWN}/{number}"}
    return str(conversation.webhooks.create(**given | configuration).sid)


def told(instance: Instance) -> list[tuple[str, str]]:
    """The URL and the event of whatever was told since the last look, by the URL."""
    instance.work()
    deliveries = [(delivery.url, delivery.parameters["EventType"]) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return sorted(deliveries)


def delete(instance: Instance, conversation: Any) -> Answer:
    # The Python SDK 9.13 does not send the header.
    return instance.call("DELETE", f"/v1/Conversations/{conversation.fetch().sid}", headers=HEADER)


def test_an_event_is_told_the_account_and_every_webhook_of_the_conversation_that_wants_it(
    instance: Instance, conversation: Any
) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onMessageAdded"])
    sids = [hook(conversation, number) for number in range(4)]
    hook(conversation, 4, configuration_filters=["onParticipantAdded"])
    other = v1.conversations(v1.conversations.create().sid)
    hook(other, 5)
    conversation.messages.create(body="Hello", **WITH)
    instance.work()
    urls = [delivery.url for delivery in instance.receivers.posted]
    assert sorted(urls) == [ACCOUNT, *(f"{OWN}/{number}" for number in range(4))]
    own = {delivery.url: delivery.parameters.get("WebhookSid") for delivery in instance.receivers.posted}
    assert own == {ACCOUNT: None, **{f"{OWN}/{number}": sid for number, sid in enumerate(sids)}}
    assert len({delivery.event.id for delivery in instance.receivers.posted}) == 1
    assert {item["target"] for item in instance.items("attempt#")} == {"account", *sids}


def test_they_are_told_beside_a_service_that_silences_the_account(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    service.configuration.webhooks().update(post_webhook_url=SERVICE, filters=["onMessageAdded"])
    conversation = service.conversations(service.conversations.create().sid)
    hook(conversation, configuration_method="get")
    conversation.messages.create(body="Hello", **WITH)
    instance.work()
    deliveries = {delivery.url: delivery for delivery in instance.receivers.posted}
    assert set(deliveries) == {SERVICE, f"{OWN}/0"}
    assert deliveries[f"{OWN}/0"].method == "GET"
    service_sid = service.fetch().sid
    assert {delivery.parameters["ChatServiceSid"] for delivery in deliveries.values()} == {service_sid}
    conversation.update(friendly_name="x", **WITH)
    instance.receivers.posted.clear()
    assert told(instance) == [(f"{OWN}/0", "onConversationUpdated")]


def test_without_the_header_they_are_told_as_little_as_others(instance: Instance, conversation: Any) -> None:
    hook(conversation)
    conversation.messages.create(body="Hello")
    conversation.update(state="inactive")
    assert told(instance) == []
    conversation.messages.create(body="Hello")
    assert told(instance) == [(f"{OWN}/0", "onConversationStateUpdated")]


@pytest.mark.parametrize(
    ("body", "triggers"),
    [("Help!", True), ("please STOP it", True), ("unstoppable", True), ("", False), ("hel p", False), (None, False)],
)
def test_a_trigger_is_told_of_messages_that_hold_a_keyword(
    instance: Instance, conversation: Any, body: str | None, triggers: bool
) -> None:
    hook(conversation, target="trigger", configuration_triggers=["help", "sToP"])
    conversation.messages.create(**({"body": body} if body else {"content_sid": "HX" + "0" * 32}), **WITH)
    assert told(instance) == ([(f"{OWN}/0", "onMessageAdded")] if triggers else [])


def test_a_trigger_is_told_of_no_other_event_and_studio_of_none(instance: Instance, conversation: Any) -> None:
    hook(conversation, target="trigger", configuration_triggers=["help"])
    hook(conversation, target="studio", configuration_flow_sid="FW" + "0" * 32)
    sid = conversation.messages.create(body="Hello", **WITH).sid
    conversation.messages(sid).update(body="help", **WITH)
    assert told(instance) == []
    conversation.messages.create(body="help", **WITH)
    assert told(instance) == [(f"{OWN}/0", "onMessageAdded")]


def test_what_was_changed_or_deleted_counts_from_then_on(instance: Instance, conversation: Any) -> None:
    changed, deleted = hook(conversation), hook(conversation, 1)
    conversation.webhooks(changed).update(configuration_url=f"{OWN}/2")
    conversation.webhooks(deleted).delete()
    conversation.messages.create(body="Hello", **WITH)
    assert told(instance) == [(f"{OWN}/2", "onMessageAdded")]


@pytest.mark.parametrize("removed_before", [False, True])
def test_the_end_of_a_conversation_and_what_came_before_it_is_told_though_nothing_is_left_of_it(
    instance: Instance, conversation: Any, removed_before: bool
) -> None:
    hook(conversation)
    conversation.messages.create(body="Hello", **WITH)
    delete(instance, conversation)
    if removed_before:
        instance.sweep(AT_ONCE)
        assert instance.items("conversation") == instance.items("message#") == []
    assert told(instance) == [(f"{OWN}/0", "onConversationRemoved"), (f"{OWN}/0", "onMessageAdded")]


def test_after_the_end_of_a_closed_conversation_nothing_is_told(instance: Instance, conversation: Any) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    hook(conversation)
    conversation.messages.create(body="Hello", **WITH)
    conversation.update(state="closed", **WITH)
    delete(instance, conversation)
    events = told(instance)
    assert [event for url, event in events if url != ACCOUNT] == ["onConversationStateUpdated", "onMessageAdded"]
    assert (ACCOUNT, "onConversationRemoved") in events


def test_the_end_of_one_whose_members_could_not_be_added_is_told() -> None:
    def nobody(*_: object) -> None:
        raise InvalidRoleSidError

    with held_instance(admit=nobody) as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations(v1.conversation_with_participants.create(participant=chat(2)).sid)
        hook(conversation)
        assert told(instance) == [(f"{OWN}/0", "onConversationStateUpdated")]
        assert conversation.fetch().state == "closed"


def test_retries_of_one_are_not_told_the_others(instance: Instance, conversation: Any) -> None:
    hook(conversation)
    hook(conversation, 1)
    conversation.messages.create(body="Hello", **WITH)
    instance.receivers.statuses = [500, 200]
    instance.work()
    instance.forget_pauses()
    instance.work()
    first, second, third = instance.receivers.posted
    assert first.url == third.url != second.url
    assert instance.receivers.retry_counts == [0, 0, 1]


@pytest.mark.parametrize(("fragment", "attempts"), [("#rc=0", 1), ("#rc=1&tt=900", 2), ("#rc=5", 6), ("#rc=9", 4)])
def test_the_fragment_says_how_often_it_is_tried_again(
    instance: Instance, conversation: Any, fragment: str, attempts: int
) -> None:
    hook(conversation, configuration_url=OWN + fragment)
    conversation.messages.create(body="Hello", **WITH)
    instance.receivers.statuses = [503] * 10
    for _ in range(8):
        instance.work()
        instance.forget_pauses()
    assert instance.receivers.retry_counts == list(range(attempts))
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)


def test_messages_too_long_for_one_call_to_the_queue_are_sent_in_several(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(v1.conversation_with_participants.create(participant=chat(1)).sid)
    instance.work()
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    for number in range(5):
        hook(conversation, number)
    body = "\x01" * (32 * 1024)
    assert 5 * 6 * len(body) > delivery_queue.MAX_BATCH_BYTES > 6 * len(body)
    conversation.messages.create(body=body, **WITH)
    assert len(told(instance)) == 6


# onDeliveryUpdated


def test_a_receipt_is_told_whether_or_not_the_request_wants_webhooks(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onDeliveryUpdated", "onMessageAdded"])
    conversation = v1.conversations(v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid)
    instance.work()
    message = conversation.messages.create(body="Hello", author="alice")
    (receipt,) = conversation.messages(message.sid).delivery_receipts.list()
    (stored,) = instance.items("receipt#")
    instance.work()
    (delivery,) = instance.receivers.posted
    assert delivery.parameters == {
        "EventType": "onDeliveryUpdated",
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "ConversationSid": message.conversation_sid,
        "MessageSid": message.sid,
        "DeliveryReceiptSid": receipt.sid,
        "ChannelMessageSid": receipt.channel_message_sid,
        "ParticipantSid": receipt.participant_sid,
        "Status": "sent",
        "DateCreated": stored["date_created"],
        "DateUpdated": stored["date_updated"],
    }


def test_a_message_without_copies_makes_no_receipt_event(instance: Instance, conversation: Any) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(
        post_webhook_url=ACCOUNT, filters=["onDeliveryUpdated"]
    )
    conversation.messages.create(body="Hello", **WITH)
    assert told(instance) == []


def test_the_events_of_the_largest_message_with_the_most_copies_fit_into_an_item() -> None:
    with held_instance() as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations(v1.conversations.create().sid)
        for number in range(50):
            conversation.participants.create(
                messaging_binding_address=f"+1555867{number:04}", messaging_binding_proxy_address="+15017122661"
            )
        before = len(instance.changes())
        conversation.messages.create(body="x" * 1600, attributes='"' + "x" * 4_000 + '"', **WITH)
        assert len(instance.changes()) == before + 1
        largest = max(instance.items("change"), key=lambda change: len(change["events"]))
        kinds = [event["type"] for event in largest["events"]]
        assert kinds == ["onMessageAdded", *["onDeliveryUpdated"] * 50]
    assert len(str(largest)) < 60_000


# Where a deployment calls webhooks


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/", "http://localhost:3000/", "http://[::ffff:10.0.0.1]/"]
)
def test_a_deployment_takes_no_webhook_that_is_not_public(instance: Instance, conversation: Any, url: str) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="Support").sid
    own = f"/v1/Conversations/{conversation.fetch().sid}/Webhooks"
    known = hook(conversation)
    scoped = {"Target": "webhook", "Configuration.Filters": "onMessageAdded"}
    before = instance.items("")
    for path, parameter, rest in (
        ("/v1/Configuration/Webhooks", "PreWebhookUrl", {}),
        ("/v1/Configuration/Webhooks", "PostWebhookUrl", {}),
        ("/convoke/v1/Configuration", "ErrorLogUrl", {}),
        (f"/v1/Services/{service}/Configuration/Webhooks", "PostWebhookUrl", {}),
        (own, "Configuration.Url", scoped),
        (f"{own}/{known}", "Configuration.Url", {}),
    ):
        answered = instance.call("POST", path, {parameter: url, **rest})
        if instance.is_deployed:
            assert (answered.status, answered.body["code"]) == (400, 50054)
            assert answered.body["details"]["parameter"] == parameter
            assert answered.body["message"].endswith("a URL with a public host")
        else:
            assert answered.status in (200, 201)
    assert (instance.items("") == before) is instance.is_deployed
