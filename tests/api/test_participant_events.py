"""Changes to participants cause webhook events. These changes restart timers, except a change of the read position."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.instances import Instance
from tests.support.manual_clock import ManualClock

FILTERS = ["onParticipantAdded", "onParticipantUpdated", "onParticipantRemoved"]


def delivered(instance: Instance) -> list[dict[str, str]]:
    """Deliver every pending event. Return the payloads that were delivered since the last call."""
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return payloads


def new_conversation(instance: Instance, form: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Configure a webhook and create a conversation. Return the participants' path and the conversation."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=FILTERS)
    conversation = instance.call("POST", "/v1/Conversations", form).body
    return f"/v1/Conversations/{conversation['sid']}/Participants", conversation


WEBHOOKS = {"X-Twilio-Webhook-Enabled": "true"}


def test_participant_events_are_delivered_with_header(instance: Instance) -> None:
    path, conversation = new_conversation(instance, {})
    created = instance.call("POST", path, {"Identity": "alice"}, WEBHOOKS).body
    (added,) = delivered(instance)
    form = {"Attributes": '{"a": 1}', "LastReadMessageIndex": "7"}
    instance.call("POST", f"{path}/alice", form, WEBHOOKS)
    (updated,) = delivered(instance)
    (stored,) = instance.items("participant")
    assert instance.call("DELETE", f"{path}/alice", headers=WEBHOOKS).status == 204
    (removed,) = delivered(instance)
    expected = {
        "AccountSid": instance.account.sid,
        "ChatServiceSid": conversation["chat_service_sid"],
        "ConversationSid": conversation["sid"],
        "Source": "API",
        "ParticipantSid": created["sid"],
        "Identity": "alice",
        "RoleSid": created["role_sid"],
        "DateCreated": stored["date_created"],
        "MessagingBinding.Type": "CHAT",
    }
    assert added == {**expected, "EventType": "onParticipantAdded", "Attributes": "{}"}
    changed = {**expected, "Attributes": '{"a": 1}', "DateUpdated": stored["date_updated"]}
    assert updated == {**changed, "EventType": "onParticipantUpdated", "LastReadMessageIndex": "7"}
    assert removed == {**changed, "EventType": "onParticipantRemoved", "DateRemoved": removed["DateRemoved"]}
    assert removed["DateRemoved"] >= stored["date_updated"]


@pytest.mark.each_engine
def test_participant_changes_without_header_are_recorded_and_not_delivered(instance: Instance) -> None:
    path, _ = new_conversation(instance, {})
    instance.call("POST", path, {"Identity": "alice"})
    instance.call("POST", f"{path}/alice", {"Attributes": "1"})
    instance.call("POST", f"{path}/alice")
    instance.call("DELETE", f"{path}/alice")
    assert delivered(instance) == []
    events = [event["type"] for change in instance.changes() for event in change["events"]]
    assert sorted(events) == ["onConversationAdded", *sorted(FILTERS), "onUserAdded"]


@pytest.mark.each_engine
def test_participant_changes_restart_timers_and_read_horizon_does_not(clocked: Instance, clock: ManualClock) -> None:
    path, conversation = new_conversation(clocked, {"Timers.Inactive": "PT1M"})

    def restarted(method: str, url: str, form: dict[str, str] | None = None) -> bool:
        clock.move(timedelta(seconds=10))
        assert clocked.call(method, url, form).status < 300
        timers = clocked.call("GET", f"/v1/Conversations/{conversation['sid']}").body["timers"]
        due = datetime.fromisoformat(timers["date_inactive"])
        return due == clock.present.replace(microsecond=0) + timedelta(minutes=1)

    assert restarted("POST", path, {"Identity": "alice"})
    assert not restarted("POST", f"{path}/alice", {"LastReadMessageIndex": "1"})
    assert not restarted("POST", f"{path}/alice", {"LastReadTimestamp": "2026-01-02T03:04:05Z"})
    assert not restarted("POST", f"{path}/alice", {})
    assert restarted("POST", f"{path}/alice", {"Attributes": "1"})
    assert restarted("DELETE", f"{path}/alice")
