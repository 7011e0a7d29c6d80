"""A new webhook is told of the messages that were there before it (reference, a.6 and d.7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convoke.domain.events import Event
from convoke.operations.message_replays import MESSAGES_PER_BATCH
from tests.api.test_alerts import delivery_queue
from tests.support.instances import Instance, refusal

ACCOUNT = "https://hooks.example.com/account"
OWN = "https://hooks.example.com/own"

REPLAY = "com.convoke.webhook.replay"

WITH = {"x_twilio_webhook_enabled": "true"}


@pytest.fixture
def conversation(instance: Instance) -> Any:
    """Whose every event the account hears."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url=ACCOUNT, filters=["onMessageAdded"])
    return v1.conversations(v1.conversations.create().sid)


def messages(conversation: Any, number: int, **parameters: Any) -> list[Any]:
    return [conversation.messages.create(body=f"Message {index}", **parameters) for index in range(number)]


def hook(conversation: Any, after: int | None, number: int = 0, **configuration: Any) -> str:
    """The SID of a new webhook that is to be told of what lies behind an index."""
    given: dict[str, Any] = {"target": "webhook", "configuration_filters": ["onMessageAdded"]}
    given |= {"configuration_url": f"{OWN}/{number}", **configuration}
    if after is not None:
        given["configuration_replay_after"] = after
    return str(conversation.webhooks.create(**given).sid)


def told(instance: Instance) -> list[tuple[str, int]]:
    """The URL and the index of each message that was told since the last look, in order."""
    instance.work()
    found = [(delivery.url, int(delivery.parameters["Index"])) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return sorted(found)


def replays(instance: Instance) -> list[dict[str, Any]]:
    return [event for change in instance.changes() for event in change["events"] if event["type"] == REPLAY]


def test_messages_behind_the_index_are_told_to_the_new_webhook_alone(instance: Instance, conversation: Any) -> None:
    hook(conversation, None, 7)
    messages(conversation, 4)
    hook(conversation, 1)
    assert told(instance) == [(f"{OWN}/0", 2), (f"{OWN}/0", 3)]


def test_a_message_is_told_as_when_it_was_new_but_for_the_webhook_and_as_it_is_now(
    instance: Instance, conversation: Any
) -> None:
    messages(conversation, 1)
    message = conversation.messages.create(body="Hello", author="alice", attributes='{"a": 1}', **WITH)
    instance.work()
    (first,) = instance.receivers.posted
    sid = hook(conversation, 0)
    conversation.messages(message.sid).update(body="Good-bye")
    instance.work()
    delivery = instance.receivers.posted[-1]
    assert delivery.url == f"{OWN}/0"
    assert delivery.parameters == {**first.parameters, "Body": "Good-bye", "WebhookSid": sid}
    assert delivery.event.type == "onMessageAdded"


@pytest.mark.parametrize("after", [None, 2, 3, 10**17])
def test_where_nothing_is_asked_for_or_nothing_is_there_nothing_is_recorded(
    instance: Instance, conversation: Any, after: int | None
) -> None:
    messages(conversation, 3)
    before = instance.changes()
    hook(conversation, after)
    assert told(instance) == []
    assert instance.changes() == before


def test_what_comes_after_the_webhook_is_told_once_and_as_ever(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2)
    hook(conversation, 0)
    conversation.messages.create(body="unheard")
    conversation.messages.create(body="heard", **WITH)
    assert told(instance) == [(ACCOUNT, 3), (f"{OWN}/0", 1), (f"{OWN}/0", 3)]


@pytest.mark.parametrize("later", [0, 2])
@pytest.mark.parametrize("pages", [1, 2, 3])
def test_all_of_them_are_told_page_by_page(instance: Instance, conversation: Any, pages: int, later: int) -> None:
    """Also where pages are full, and messages came while they were read."""
    number = pages * MESSAGES_PER_BATCH + 1
    messages(conversation, number)
    hook(conversation, 0)
    messages(conversation, later)
    assert told(instance) == [(f"{OWN}/0", index) for index in range(1, number)]
    assert instance.waiting_messages("delivery") == 0
    ids = {item["pk"] for item in instance.items("attempt#")}
    assert len(ids) == 1
    assert len(instance.items("attempt#")) == number - 1


def test_one_page_more_than_full_is_told_to_its_end(instance: Instance, conversation: Any) -> None:
    messages(conversation, MESSAGES_PER_BATCH + 2)
    hook(conversation, 0)
    assert len(told(instance)) == MESSAGES_PER_BATCH + 1


def test_what_is_deleted_is_left_out_though_it_ends_a_page_or_all_of_them(
    instance: Instance, conversation: Any
) -> None:
    made = messages(conversation, MESSAGES_PER_BATCH + 4)
    hook(conversation, 0)
    gone = {1, MESSAGES_PER_BATCH, MESSAGES_PER_BATCH + 1, MESSAGES_PER_BATCH + 3}
    for index in gone:
        conversation.messages(made[index].sid).delete()
    conversation.messages.create(body="later")
    expected = [index for index in range(1, MESSAGES_PER_BATCH + 4) if index not in gone]
    assert told(instance) == [(f"{OWN}/0", index) for index in expected]


def test_without_the_filter_nothing_is_told_nor_to_studio(instance: Instance, conversation: Any) -> None:
    messages(conversation, 3)
    before = instance.changes()
    hook(conversation, 0, configuration_filters=["onMessageUpdated", "onParticipantAdded"])
    hook(conversation, 0, target="studio", configuration_flow_sid="FW" + "0" * 32)
    assert told(instance) == []
    assert instance.changes() == before


def test_a_trigger_is_told_of_those_with_a_keyword(instance: Instance, conversation: Any) -> None:
    for body in ("help", "Hello", "HELP me", "bye", "unhelpful"):
        conversation.messages.create(body=body)
    sid = hook(conversation, 0, target="trigger", configuration_triggers=["help"])
    instance.work()
    assert [delivery.parameters["WebhookSid"] for delivery in instance.receivers.posted] == [sid, sid]
    assert told(instance) == [(f"{OWN}/0", 2), (f"{OWN}/0", 4)]


def test_pages_without_a_keyword_are_gone_past(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2 * MESSAGES_PER_BATCH + 1)
    conversation.messages.create(body="help")
    hook(conversation, 0, target="trigger", configuration_triggers=["help"])
    assert told(instance) == [(f"{OWN}/0", 2 * MESSAGES_PER_BATCH + 1)]


def test_what_is_changed_meanwhile_counts(instance: Instance, conversation: Any) -> None:
    messages(conversation, 2)
    moved, silenced = hook(conversation, 0), hook(conversation, 0, 1)
    conversation.webhooks(moved).update(configuration_url=f"{OWN}/2")
    conversation.webhooks(silenced).update(configuration_filters=["onMessageUpdated"])
    assert told(instance) == [(f"{OWN}/2", 1)]


@pytest.mark.parametrize("whole", [False, True])
def test_a_webhook_that_is_deleted_meanwhile_is_told_nothing_nor_of_a_conversation_that_is(
    instance: Instance, conversation: Any, whole: bool
) -> None:
    messages(conversation, 2)
    deleted = hook(conversation, 0)
    if whole:
        conversation.delete()
    else:
        conversation.webhooks(deleted).delete()
        hook(conversation, None, 1)
    assert told(instance) == []
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 0)


def test_in_a_service_it_is_told_and_names_the_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service_sid = v1.services.create(friendly_name="Support").sid
    there = v1.services(service_sid).conversations
    conversation = there(there.create().sid)
    messages(conversation, 2)
    hook(conversation, 0, configuration_method="get")
    instance.work()
    (delivery,) = instance.receivers.posted
    assert (delivery.method, delivery.parameters["ChatServiceSid"]) == ("GET", service_sid)


def test_what_comes_twice_is_told_under_the_same_ids(instance: Instance, conversation: Any) -> None:
    messages(conversation, MESSAGES_PER_BATCH + 3)
    hook(conversation, 0)
    instance.work()
    (replay,) = replays(instance)
    delivery_queue(instance).send([Event.model_validate(replay)])
    instance.work()
    ids = [delivery.event.id for delivery in instance.receivers.posted]
    indexes = range(1, MESSAGES_PER_BATCH + 3)
    sid = replay["id"].partition("-")[0]
    assert sorted(ids) == sorted([f"{sid}-{1 + index}" for index in indexes] * 2)
    assert len(instance.items("attempt#")) == len(indexes)


def test_one_that_is_not_taken_is_tried_again_alone_and_given_up_by_itself(
    instance: Instance, conversation: Any
) -> None:
    messages(conversation, 3)
    sid = hook(conversation, 0)
    instance.receivers.statuses = [500, 200, 403]
    instance.work()
    instance.forget_pauses()
    instance.work()
    first, _, again = instance.receivers.posted
    assert first.event.id == again.event.id
    assert instance.receivers.retry_counts == [0, 0, 1]
    assert instance.waiting_messages("delivery-dlq") == 1
    (alert,) = instance.call("GET", "/v1/Alerts").body["alerts"]
    assert f"event {first.event.id}, target {sid}, attempt 2" in json.dumps(alert)


def test_the_ledger_lists_the_replay_which_itself_is_told_to_nobody(instance: Instance, conversation: Any) -> None:
    made = messages(conversation, 3)
    sid = hook(conversation, 0)
    told(instance)
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
        "After": "0",
        "Until": "2",
    }
    path = f"/convoke/v1/Events/{listed['id']}"
    assert instance.call("GET", f"{path}/Attempts").body["attempts"] == []
    assert instance.call("POST", f"{path}/Replay").body["targets"] == []
    assert told(instance) == []


def test_no_filter_names_it(instance: Instance, conversation: Any) -> None:
    refused = refusal(lambda: hook(conversation, None, configuration_filters=[REPLAY]))
    assert refused.code == 50365
    account = instance.client().conversations.v1.configuration.webhooks()
    assert refusal(lambda: account.update(filters=[REPLAY])).code == 50054
