"""Convoke can send earlier messages to a new webhook. See docs/behaviour/scoped-webhooks.md#replay-of-messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convoke.domain.events import Event
from convoke.operations.message_replays import MESSAGES_PER_SEARCH
from tests.api.test_alerts import delivery_queue
from tests.support.instances import Instance, refusal

ACCOUNT = "https://hooks.example.com/account"
OWN = "https://hooks.example.com/own"

REPLAY = "com.convoke.webhook.replay"

WITH = {"x_twilio_webhook_enabled": "true"}


@pytest.fixture
def conversation(instance: Instance) -> Any:
    """Create a conversation in an account with a webhook for `onMessageAdded`."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onMessageAdded"])
    return v1.conversations(v1.conversations.create().sid)


def messages(conversation: Any, number: int, **parameters: Any) -> list[Any]:
    return [conversation.messages.create(body=f"Message {index}", **parameters) for index in range(number)]


def create_webhook(conversation: Any, first: int | None, number: int = 0, **configuration: Any) -> str:
    """Create a webhook. Return the webhook SID.

    Convoke replays the messages from the index `first` on. If `first` is None, there is no replay. `number` makes the
    URL of the webhook unique.
    """
    given: dict[str, Any] = {"target": "webhook", "configuration_filters": ["onMessageAdded"]}
    given |= {"configuration_url": f"{OWN}/{number}", **configuration}
    if first is not None:
        given["configuration_replay_after"] = first
    return str(conversation.webhooks.create(**given).sid)


def delivered(instance: Instance) -> list[tuple[str, int]]:
    """Deliver every pending event. Return the URL and the message index of each delivery, sorted."""
    instance.work()
    found = [(delivery.url, int(delivery.parameters["Index"])) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return sorted(found)


def replays(instance: Instance) -> list[dict[str, Any]]:
    return [event for change in instance.changes() for event in change["events"] if event["type"] == REPLAY]


@pytest.mark.each_engine
def test_replay_sends_messages_from_index_on_to_new_webhook_only(instance: Instance, conversation: Any) -> None:
    create_webhook(conversation, None, 7)
    messages(conversation, 4)
    create_webhook(conversation, 2)
    assert delivered(instance) == [(f"{OWN}/0", 2), (f"{OWN}/0", 3)]


@pytest.mark.each_engine
def test_replay_from_index_0_sends_every_message_in_order_of_indexes(instance: Instance, conversation: Any) -> None:
    messages(conversation, 12)
    create_webhook(conversation, 0)
    instance.work()
    assert [int(delivery.parameters["Index"]) for delivery in instance.receivers.posted] == [*range(12)]


@pytest.mark.each_engine
def test_replayed_message_is_sent_only_after_the_last_attempt_of_the_previous_one(
    instance: Instance, conversation: Any
) -> None:
    messages(conversation, 3)
    create_webhook(conversation, 0)
    instance.receivers.statuses = [500, 200, 403, 200]
    instance.work()
    assert [int(delivery.parameters["Index"]) for delivery in instance.receivers.posted] == [0]
    instance.forget_pauses()
    instance.work()
    assert [int(delivery.parameters["Index"]) for delivery in instance.receivers.posted] == [0, 0, 1, 2]
    assert instance.waiting_messages("delivery") == 0


def test_replayed_message_has_current_fields_and_webhook_sid(instance: Instance, conversation: Any) -> None:
    messages(conversation, 1)
    message = conversation.messages.create(body="Hello", author="alice", attributes='{"a": 1}', **WITH)
    instance.work()
    (first,) = instance.receivers.posted
    sid = create_webhook(conversation, 1)
    conversation.messages(message.sid).update(body="Good-bye")
    instance.work()
    delivery = instance.receivers.posted[-1]
    assert delivery.url == f"{OWN}/0"
    assert delivery.parameters == {**first.parameters, "Body": "Good-bye", "WebhookSid": sid}
    assert delivery.event.type == "onMessageAdded"


@pytest.mark.parametrize("first", [None, 3, 4, 10**17])
def test_replay_without_index_or_newer_messages_records_nothing(
    instance: Instance, conversation: Any, first: int | None
) -> None:
    messages(conversation, 3)
    before = instance.changes()
    create_webhook(conversation, first)
    assert delivered(instance) == []
    assert instance.changes() == before


@pytest.mark.each_engine
def test_messages_after_webhook_creation_are_delivered_once(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2)
    create_webhook(conversation, 1)
    conversation.messages.create(body="without header")
    conversation.messages.create(body="with header", **WITH)
    assert delivered(instance) == [(ACCOUNT, 3), (f"{OWN}/0", 1), (f"{OWN}/0", 3)]


@pytest.mark.each_engine
@pytest.mark.parametrize("later", [0, 2])
@pytest.mark.parametrize("pages", [1, 2, 3])
def test_replay_covers_every_page_of_messages(instance: Instance, conversation: Any, pages: int, later: int) -> None:
    """`pages` is the number of searches for messages that the replay needs.

    `later` is the number of messages that are created after the webhook. The replay must not send these messages.
    """
    number = pages * MESSAGES_PER_SEARCH + 1
    messages(conversation, number)
    create_webhook(conversation, 1)
    messages(conversation, later)
    assert delivered(instance) == [(f"{OWN}/0", index) for index in range(1, number)]
    assert instance.waiting_messages("delivery") == 0
    ids = {item["pk"] for item in instance.items("attempt#")}
    assert len(ids) == 1
    assert len(instance.items("attempt#")) == number - 1


@pytest.mark.each_engine
def test_replay_covers_one_message_more_than_a_page(instance: Instance, conversation: Any) -> None:
    messages(conversation, MESSAGES_PER_SEARCH + 2)
    create_webhook(conversation, 1)
    assert len(delivered(instance)) == MESSAGES_PER_SEARCH + 1


@pytest.mark.each_engine
def test_replay_skips_deleted_messages_at_page_ends(instance: Instance, conversation: Any) -> None:
    made = messages(conversation, MESSAGES_PER_SEARCH + 4)
    create_webhook(conversation, 1)
    gone = {1, MESSAGES_PER_SEARCH, MESSAGES_PER_SEARCH + 1, MESSAGES_PER_SEARCH + 3}
    for index in gone:
        conversation.messages(made[index].sid).delete()
    conversation.messages.create(body="later")
    expected = [index for index in range(1, MESSAGES_PER_SEARCH + 4) if index not in gone]
    assert delivered(instance) == [(f"{OWN}/0", index) for index in expected]


def test_replay_respects_filters_and_skips_studio(instance: Instance, conversation: Any) -> None:
    messages(conversation, 3)
    before = instance.changes()
    create_webhook(conversation, 1, configuration_filters=["onMessageUpdated", "onParticipantAdded"])
    create_webhook(conversation, 1, target="studio", configuration_flow_sid="FW" + "0" * 32)
    assert delivered(instance) == []
    assert instance.changes() == before


def test_replay_to_trigger_sends_messages_with_keyword_only(instance: Instance, conversation: Any) -> None:
    for body in ("help", "Hello", "HELP me", "bye", "unhelpful"):
        conversation.messages.create(body=body)
    sid = create_webhook(conversation, 1, target="trigger", configuration_triggers=["help"])
    instance.work()
    assert [delivery.parameters["WebhookSid"] for delivery in instance.receivers.posted] == [sid, sid]
    assert delivered(instance) == [(f"{OWN}/0", 2), (f"{OWN}/0", 4)]


@pytest.mark.each_engine
def test_replay_passes_pages_without_matching_message(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2 * MESSAGES_PER_SEARCH + 1)
    conversation.messages.create(body="help")
    create_webhook(conversation, 1, target="trigger", configuration_triggers=["help"])
    assert delivered(instance) == [(f"{OWN}/0", 2 * MESSAGES_PER_SEARCH + 1)]


def test_replay_uses_current_webhook_configuration(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2)
    moved, silenced = create_webhook(conversation, 1), create_webhook(conversation, 1, 1)
    conversation.webhooks(moved).update(configuration_url=f"{OWN}/2")
    conversation.webhooks(silenced).update(configuration_filters=["onMessageUpdated"])
    assert delivered(instance) == [(f"{OWN}/2", 1)]


@pytest.mark.each_engine
@pytest.mark.parametrize("whole", [False, True])
def test_replay_stops_when_webhook_or_conversation_is_deleted(
    instance: Instance, conversation: Any, whole: bool
) -> None:
    messages(conversation, 2)
    deleted = create_webhook(conversation, 1)
    if whole:
        conversation.delete()
    else:
        conversation.webhooks(deleted).delete()
        create_webhook(conversation, None, 1)
    assert delivered(instance) == []
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 0)


def test_replay_in_service_names_the_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service_sid = v1.services.create(friendly_name="Support").sid
    there = v1.services(service_sid).conversations
    conversation = there(there.create().sid)
    messages(conversation, 2)
    create_webhook(conversation, 1, configuration_method="get")
    instance.work()
    (delivery,) = instance.receivers.posted
    assert (delivery.method, delivery.parameters["ChatServiceSid"]) == ("GET", service_sid)


@pytest.mark.each_engine
def test_repeated_replay_message_keeps_event_ids(instance: Instance, conversation: Any) -> None:
    messages(conversation, MESSAGES_PER_SEARCH + 3)
    create_webhook(conversation, 1)
    instance.work()
    (replay,) = replays(instance)
    delivery_queue(instance).send([Event.model_validate(replay)])
    instance.work()
    ids = [delivery.event.id for delivery in instance.receivers.posted]
    indexes = range(1, MESSAGES_PER_SEARCH + 3)
    sid = replay["id"].partition("-")[0]
    assert sorted(ids) == sorted([f"{sid}-{1 + index}" for index in indexes] * 2)
    assert len(instance.items("attempt#")) == len(indexes)


@pytest.mark.each_engine
def test_failed_replay_delivery_is_retried_alone(instance: Instance, conversation: Any) -> None:
    messages(conversation, 3)
    sid = create_webhook(conversation, 1)
    instance.receivers.statuses = [500, 403, 200]
    instance.work()
    instance.forget_pauses()
    instance.work()
    first, again, _ = instance.receivers.posted
    assert first.event.id == again.event.id
    assert instance.receivers.retry_counts == [0, 1, 0]
    assert instance.waiting_messages("delivery-dlq") == 1
    (alert,) = instance.call("GET", "/v1/Alerts").body["alerts"]
    assert f"event {first.event.id}, target {sid}, attempt 2" in json.dumps(alert)


@pytest.mark.each_engine
def test_replay_is_listed_as_event_and_not_delivered_itself(instance: Instance, conversation: Any) -> None:
    made = messages(conversation, 3)
    sid = create_webhook(conversation, 1)
    delivered(instance)
    (listed,) = instance.call("GET", f"/convoke/v1/Events?ConversationSid={made[0].conversation_sid}&PageSize=1").body[
        "events"
    ]
    assert (listed["event_type"], listed["webhooks"]) == (REPLAY, True)
    assert listed["payload"] == {
        "EventType": REPLAY,
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "Source": "API",
        "ConversationSid": made[0].conversation_sid,
        "WebhookSid": sid,
        "From": "1",
        "Until": "2",
    }
    path = f"/convoke/v1/Events/{listed['id']}"
    assert instance.call("GET", f"{path}/Attempts").body["attempts"] == []
    assert instance.call("POST", f"{path}/Replay").body["targets"] == []
    assert delivered(instance) == []


def test_replay_event_type_is_refused_as_filter(instance: Instance, conversation: Any) -> None:
    refused = refusal(lambda: create_webhook(conversation, None, configuration_filters=[REPLAY]))
    assert refused.code == 50365
    account = instance.client().conversations.v1.configuration.webhooks()
    assert refusal(lambda: account.update(filters=[REPLAY])).code == 50054
