"""Changes to messages cause webhook events. See docs/behaviour/webhook-delivery.md#event-parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twilio.rest.conversations.v1 import V1

from tests.api.test_conversation_events import delivered
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance
from tests.support.media import PICTURE, media_sid

EVENTS = ["onMessageAdded", "onMessageUpdated", "onMessageRemoved", "onConversationStateUpdated"]

WITH_HEADER = {"x_twilio_webhook_enabled": "true"}


def conversation_with_webhook(instance: Instance) -> Any:
    v1: V1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    instance.work()
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=EVENTS)
    return v1.conversations(sid)


@pytest.mark.each_engine
def test_message_events_have_fields_of_added_updated_and_removed_message(instance: Instance) -> None:
    conversation, picture = conversation_with_webhook(instance), media_sid(instance, Filename="car.png")
    created = conversation.messages.create(author="alice", body="Hello", media_sid=picture, **WITH_HEADER)
    (stored,) = instance.items("message#")
    (added,) = delivered(instance)
    expected = {
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "MessagingServiceSid": instance.account.default_messaging_service_sid,
        "ConversationSid": created.conversation_sid,
        "MessageSid": created.sid,
        "ParticipantSid": created.participant_sid,
        "Source": "API",
        "Index": "0",
        "Author": "alice",
        "Body": "Hello",
        "Media": json.dumps(
            [{"Sid": picture, "Filename": "car.png", "ContentType": "image/png", "Size": len(PICTURE)}]
        ),
        "Attributes": "{}",
        "DateCreated": stored["date_created"],
    }
    assert added == {"EventType": "onMessageAdded", **expected}
    conversation.messages(created.sid).update(attributes='{"a": 1}', **WITH_HEADER)
    (stored,) = instance.items("message#")
    expected |= {"Attributes": '{"a": 1}', "DateUpdated": stored["date_updated"]}
    assert delivered(instance) == [{"EventType": "onMessageUpdated", **expected}]
    path = f"/v1/Conversations/{created.conversation_sid}/Messages/{created.sid}"
    # The Python SDK does not send `X-Twilio-Webhook-Enabled` in DELETE requests.
    instance.call("DELETE", path, headers={"X-Twilio-Webhook-Enabled": "true"})
    (removed,) = delivered(instance)
    assert removed.pop("DateRemoved").endswith("Z")
    assert removed == {"EventType": "onMessageRemoved", **expected}


def test_message_event_omits_absent_fields(instance: Instance) -> None:
    conversation_with_webhook(instance).messages.create(content_sid="HX" + "0" * 32, **WITH_HEADER)
    (added,) = delivered(instance)
    assert {"Body", "Media", "ParticipantSid"} & set(added) == set()


@pytest.mark.each_engine
def test_message_without_header_is_recorded_and_not_delivered(instance: Instance) -> None:
    conversation = conversation_with_webhook(instance)
    sid = conversation.messages.create(body="Hello").sid
    conversation.messages(sid).update(body="Bye")
    conversation.messages(sid).update()
    conversation.messages(sid).delete()
    assert delivered(instance) == []
    kinds = [event["type"] for change in instance.changes() for event in change["events"]]
    assert [kinds.count(each) for each in EVENTS[:3]] == [1, 1, 1]


@pytest.mark.each_engine
def test_reactivation_by_message_is_delivered_with_or_without_header(instance: Instance) -> None:
    conversation = conversation_with_webhook(instance)
    for headers in ({}, WITH_HEADER):
        conversation.update(state="inactive")
        before = len(instance.changes())
        conversation.messages.create(body="Hello", **headers)
        assert len(instance.changes()) == before + 1
        events = {payload["EventType"]: payload for payload in delivered(instance)}
        assert set(events) == {"onConversationStateUpdated"} | ({"onMessageAdded"} if headers else set())
        state = events["onConversationStateUpdated"]
        assert (state["StateFrom"], state["StateTo"], state["Reason"]) == ("inactive", "active", "EVENT")
