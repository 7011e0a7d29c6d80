"""Changes to conversations cause webhook events. See docs/behaviour/webhook-delivery.md#event-parameters."""

from __future__ import annotations

import pytest
from twilio.rest.conversations.v1 import V1

from tests.support.instances import Instance

EVERY_EVENT = [
    "onConversationAdded",
    "onConversationUpdated",
    "onConversationStateUpdated",
    "onConversationRemoved",
    "onParticipantAdded",
]


def configure_webhook(v1: V1) -> None:
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=EVERY_EVENT)


def delivered(instance: Instance) -> list[dict[str, str]]:
    """Deliver every pending event. Return the payloads that were delivered since the last call."""
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return payloads


@pytest.mark.each_engine
def test_conversation_updated_event_has_new_fields(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    created = v1.conversations.create(friendly_name="Visit", x_twilio_webhook_enabled="true")
    (added,) = delivered(instance)
    v1.conversations(created.sid).update(
        unique_name="visit", attributes='{"a": 1}', state="active", x_twilio_webhook_enabled="true"
    )
    (updated,) = delivered(instance)
    (stored,) = instance.items("conversation")
    expected = {
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "MessagingServiceSid": instance.account.default_messaging_service_sid,
        "ConversationSid": created.sid,
        "Source": "API",
        "FriendlyName": "Visit",
        "State": "active",
        "DateCreated": stored["date_created"],
    }
    assert added == {
        **expected,
        "EventType": "onConversationAdded",
        "Attributes": "{}",
        "DateUpdated": stored["date_created"],
    }
    assert updated == {
        **expected,
        "EventType": "onConversationUpdated",
        "UniqueName": "visit",
        "Attributes": '{"a": 1}',
        "DateUpdated": stored["date_updated"],
    }


def test_state_updated_event_has_previous_state(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    sid = v1.conversations.create().sid
    v1.conversations(sid).update(state="closed", x_twilio_webhook_enabled="true")
    (state,) = delivered(instance)
    (stored,) = instance.items("conversation")
    assert state == {
        "EventType": "onConversationStateUpdated",
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "MessagingServiceSid": instance.account.default_messaging_service_sid,
        "ConversationSid": sid,
        "Source": "API",
        "StateUpdated": stored["date_updated"],
        "StateFrom": "active",
        "StateTo": "closed",
        "Reason": "API",
    }


@pytest.mark.each_engine
def test_state_and_field_update_makes_two_events_in_one_change(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    sid = v1.conversations.create().sid
    before = len(instance.changes())
    v1.conversations(sid).update(state="inactive", friendly_name="x", x_twilio_webhook_enabled="true")
    assert sorted(event["EventType"] for event in delivered(instance)) == [
        "onConversationStateUpdated",
        "onConversationUpdated",
    ]
    assert len(instance.changes()) == before + 1


@pytest.mark.each_engine
def test_update_without_header_is_recorded_and_not_delivered(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    sid = v1.conversations.create().sid
    v1.conversations(sid).update(friendly_name="x", state="inactive")
    v1.conversations(sid).delete()
    assert delivered(instance) == []
    kinds = [event["type"] for change in instance.changes() for event in change["events"]]
    assert sorted(kinds) == [
        "onConversationAdded",
        "onConversationRemoved",
        "onConversationStateUpdated",
        "onConversationUpdated",
    ]


def test_update_to_same_state_makes_no_state_event(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    sid = v1.conversations.create(state="inactive").sid
    v1.conversations(sid).update(state="inactive", x_twilio_webhook_enabled="true")
    assert delivered(instance) == []
    v1.conversations(sid).update(state="inactive", friendly_name="x", x_twilio_webhook_enabled="true")
    assert [event["EventType"] for event in delivered(instance)] == ["onConversationUpdated"]
