"""Each event goes only to the webhooks that are configured for it. A retry calls one webhook only.

See docs/behaviour/webhook-delivery.md.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from convoke.aws import delivery_queue
from convoke.domain.errors import InvalidRoleSidError
from tests.support.deletions import AT_ONCE
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import Answer, Instance, held_instance
from tests.support.waiting import TIMEOUT_SECONDS

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


def create_webhook(conversation: Any, number: int = 0, **configuration: Any) -> str:
    given = {"target": "webhook", "configuration_filters": EVENTS, "configuration_url": f"{OWN}/{number}"}
    return str(conversation.webhooks.create(**given | configuration).sid)


def delivered(instance: Instance) -> list[tuple[str, str]]:
    """Deliver every pending event. Return the URL and the event type of each delivery, sorted."""
    instance.work()
    deliveries = [(delivery.url, delivery.parameters["EventType"]) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return sorted(deliveries)


def delete(instance: Instance, conversation: Any) -> Answer:
    # The Python SDK 9.13 does not send `X-Twilio-Webhook-Enabled` in DELETE requests.
    return instance.call("DELETE", f"/v1/Conversations/{conversation.fetch().sid}", headers=HEADER)


@pytest.mark.each_engine
def test_event_is_delivered_to_account_and_matching_conversation_webhooks(
    instance: Instance, conversation: Any
) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onMessageAdded"])
    sids = [create_webhook(conversation, number) for number in range(4)]
    create_webhook(conversation, 4, configuration_filters=["onParticipantAdded"])
    other = v1.conversations(v1.conversations.create().sid)
    create_webhook(other, 5)
    conversation.messages.create(body="Hello", **WITH)
    instance.work()
    urls = [delivery.url for delivery in instance.receivers.posted]
    assert sorted(urls) == [ACCOUNT, *(f"{OWN}/{number}" for number in range(4))]
    own = {delivery.url: delivery.parameters.get("WebhookSid") for delivery in instance.receivers.posted}
    assert own == {ACCOUNT: None, **{f"{OWN}/{number}": sid for number, sid in enumerate(sids)}}
    assert len({delivery.event.id for delivery in instance.receivers.posted}) == 1
    assert {item["target"] for item in instance.items("attempt#")} == {"account", *sids}


@pytest.mark.each_engine
def test_conversation_webhooks_are_called_beside_service_webhooks(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    service.configuration.webhooks().update(post_webhook_url=SERVICE, filters=["onMessageAdded"])
    conversation = service.conversations(service.conversations.create().sid)
    create_webhook(conversation, configuration_method="get")
    conversation.messages.create(body="Hello", **WITH)
    instance.work()
    deliveries = {delivery.url: delivery for delivery in instance.receivers.posted}
    assert set(deliveries) == {SERVICE, f"{OWN}/0"}
    assert deliveries[f"{OWN}/0"].method == "GET"
    service_sid = service.fetch().sid
    assert {delivery.parameters["ChatServiceSid"] for delivery in deliveries.values()} == {service_sid}
    conversation.update(friendly_name="x", **WITH)
    instance.receivers.posted.clear()
    assert delivered(instance) == [(f"{OWN}/0", "onConversationUpdated")]


@pytest.mark.each_engine
def test_conversation_webhooks_get_state_event_only_without_header(instance: Instance, conversation: Any) -> None:
    create_webhook(conversation)
    conversation.messages.create(body="Hello")
    conversation.update(state="inactive")
    assert delivered(instance) == []
    conversation.messages.create(body="Hello")
    assert delivered(instance) == [(f"{OWN}/0", "onConversationStateUpdated")]


@pytest.mark.parametrize(
    ("body", "triggers"),
    [("Help!", True), ("please STOP it", True), ("unstoppable", True), ("", False), ("hel p", False), (None, False)],
)
def test_trigger_receives_messages_with_keyword_only(
    instance: Instance, conversation: Any, body: str | None, triggers: bool
) -> None:
    create_webhook(conversation, target="trigger", configuration_triggers=["help", "sToP"])
    conversation.messages.create(**({"body": body} if body else {"content_sid": "HX" + "0" * 32}), **WITH)
    assert delivered(instance) == ([(f"{OWN}/0", "onMessageAdded")] if triggers else [])


def test_trigger_receives_new_messages_only_and_studio_nothing(instance: Instance, conversation: Any) -> None:
    create_webhook(conversation, target="trigger", configuration_triggers=["help"])
    create_webhook(conversation, target="studio", configuration_flow_sid="FW" + "0" * 32)
    sid = conversation.messages.create(body="Hello", **WITH).sid
    conversation.messages(sid).update(body="help", **WITH)
    assert delivered(instance) == []
    conversation.messages.create(body="help", **WITH)
    assert delivered(instance) == [(f"{OWN}/0", "onMessageAdded")]


@pytest.mark.each_engine
def test_updated_or_deleted_webhook_applies_to_next_event(instance: Instance, conversation: Any) -> None:
    changed, deleted = create_webhook(conversation), create_webhook(conversation, 1)
    conversation.webhooks(changed).update(configuration_url=f"{OWN}/2")
    conversation.webhooks(deleted).delete()
    conversation.messages.create(body="Hello", **WITH)
    assert delivered(instance) == [(f"{OWN}/2", "onMessageAdded")]


@pytest.mark.each_engine
@pytest.mark.parametrize("removed_before", [False, True])
def test_events_before_and_of_deletion_are_delivered_after_deletion(
    instance: Instance, conversation: Any, removed_before: bool
) -> None:
    create_webhook(conversation)
    conversation.messages.create(body="Hello", **WITH)
    delete(instance, conversation)
    if removed_before:
        instance.sweep(AT_ONCE)
        assert instance.items("conversation") == instance.items("message#") == []
    assert delivered(instance) == [(f"{OWN}/0", "onConversationRemoved"), (f"{OWN}/0", "onMessageAdded")]


@pytest.mark.each_engine
def test_closed_conversation_delivers_no_removed_event_to_its_webhooks(instance: Instance, conversation: Any) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    create_webhook(conversation)
    conversation.messages.create(body="Hello", **WITH)
    conversation.update(state="closed", **WITH)
    delete(instance, conversation)
    events = delivered(instance)
    assert [event for url, event in events if url != ACCOUNT] == ["onConversationStateUpdated", "onMessageAdded"]
    assert (ACCOUNT, "onConversationRemoved") in events


def test_closing_of_failed_conversation_is_delivered() -> None:
    def refuse(*_: object) -> None:
        raise InvalidRoleSidError

    with held_instance(admit=refuse) as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations(v1.conversation_with_participants.create(participant=chat(2)).sid)
        create_webhook(conversation)
        assert delivered(instance) == [(f"{OWN}/0", "onConversationStateUpdated")]
        assert conversation.fetch().state == "closed"


@pytest.mark.each_engine
def test_retry_of_one_target_does_not_repeat_others(instance: Instance, conversation: Any) -> None:
    create_webhook(conversation)
    create_webhook(conversation, 1)
    conversation.messages.create(body="Hello", **WITH)
    instance.receivers.statuses = [500, 200]
    instance.work()
    instance.forget_pauses()
    instance.work()
    first, second, third = instance.receivers.posted
    assert first.url == third.url != second.url
    assert instance.receivers.retry_counts == [0, 0, 1]


@pytest.mark.each_engine
@pytest.mark.parametrize(("fragment", "attempts"), [("#rc=0", 1), ("#rc=1&tt=900", 2), ("#rc=5", 6), ("#rc=9", 4)])
def test_url_fragment_sets_number_of_retries(
    instance: Instance, conversation: Any, fragment: str, attempts: int
) -> None:
    create_webhook(conversation, configuration_url=OWN + fragment)
    conversation.messages.create(body="Hello", **WITH)
    instance.receivers.statuses = [503] * 10
    instance.work()
    until = time.monotonic() + TIMEOUT_SECONDS
    # On AWS, one call of `work` is not enough: the fifth failure in a row pauses the receiver for one second.
    while instance.waiting_messages("delivery") and time.monotonic() < until:
        instance.forget_pauses()
        instance.work()
    assert instance.receivers.retry_counts == list(range(attempts))
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)


@pytest.mark.each_engine
def test_messages_over_queue_batch_limit_are_sent_in_several_calls(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(v1.conversation_with_participants.create(participant=chat(1)).sid)
    instance.work()
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=EVENTS)
    for number in range(5):
        create_webhook(conversation, number)
    body = "\x01" * (32 * 1024)
    assert 5 * 6 * len(body) > delivery_queue.MAX_BATCH_BYTES > 6 * len(body)
    conversation.messages.create(body=body, **WITH)
    assert len(delivered(instance)) == 6


# onDeliveryUpdated


@pytest.mark.each_engine
def test_retries_and_replays_have_the_same_token(instance: Instance, conversation: Any) -> None:
    url, filters = "https://hooks.example.com/", ["onMessageAdded"]
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=url, filters=filters)
    conversation.webhooks.create(target="webhook", configuration_url=url, configuration_filters=filters)
    instance.receivers.statuses = [500]
    conversation.messages.create(body="hi", x_twilio_webhook_enabled="true")
    instance.work()
    instance.forget_pauses()
    instance.work()
    event = instance.receivers.posted[0].event
    assert instance.call("POST", f"/convoke/v1/Events/{event.id}/Replay").status == 202
    instance.work()
    of_target: dict[str, set[str]] = {}
    for each in instance.receivers.posted:
        of_target.setdefault(each.target, set()).add(each.idempotency_token)
    assert len(instance.receivers.posted) == 5
    assert len(of_target) == 2
    assert [len(tokens) for tokens in of_target.values()] == [1] * len(of_target)
    assert len(set.union(*of_target.values())) == len(of_target)


@pytest.mark.each_engine
def test_receipt_event_is_delivered_with_or_without_header(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onDeliveryUpdated", "onMessageAdded"])
    conversation = v1.conversations(v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid)
    instance.work()
    message = conversation.messages.create(body="Hello", author="alice")
    instance.work()
    (receipt,) = conversation.messages(message.sid).delivery_receipts.list()
    (stored,) = instance.items("receipt#")
    deliveries = {delivery.parameters["Status"]: delivery.parameters for delivery in instance.receivers.posted}
    assert sorted(deliveries) == ["delivered", "sent"]
    assert deliveries["delivered"] == {
        "EventType": "onDeliveryUpdated",
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "ConversationSid": message.conversation_sid,
        "MessageSid": message.sid,
        "DeliveryReceiptSid": receipt.sid,
        "ChannelMessageSid": receipt.channel_message_sid,
        "ParticipantSid": receipt.participant_sid,
        "Status": "delivered",
        "DateCreated": stored["date_created"],
        "DateUpdated": stored["date_updated"],
    }


def test_message_without_receipts_makes_no_receipt_event(instance: Instance, conversation: Any) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(
        post_webhook_url=ACCOUNT, filters=["onDeliveryUpdated"]
    )
    conversation.messages.create(body="Hello", **WITH)
    assert delivered(instance) == []


def test_message_with_50_copies_is_one_change_and_reaches_every_phone() -> None:
    with held_instance() as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations(v1.conversations.create().sid)
        for number in range(50):
            conversation.participants.create(
                messaging_binding_address=f"+1555867{number:04}", messaging_binding_proxy_address="+15017122661"
            )
        before = len(instance.changes())
        sid = conversation.messages.create(body="x" * 1600, **WITH).sid
        assert len(instance.changes()) == before + 1
        instance.work()
        delivery = conversation.messages(sid).fetch().delivery
        assert (delivery["total"], delivery["delivered"]) == (50, "all")


# Hosts that a deployment may call


@pytest.mark.each_engine
@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/", "http://localhost:3000/", "http://[::ffff:10.0.0.1]/"]
)
def test_deployment_refuses_webhook_url_that_is_not_public(instance: Instance, conversation: Any, url: str) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="Support").sid
    own = f"/v1/Conversations/{conversation.fetch().sid}/Webhooks"
    known = create_webhook(conversation)
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
