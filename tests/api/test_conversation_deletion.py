"""Convoke hides a deleted conversation immediately. Later the sweeper erases the conversation.

The events and alerts of the conversation remain, and its webhooks expire later. See
docs/behaviour/conversations.md#delete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain as joined
from itertools import repeat

import pytest
from twilio.rest.conversations.v1 import V1

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.events import Event
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.operations.ports import EventBus
from convoke.storage import conversations
from convoke.storage.conversations import ConversationRepository
from tests.support.deletions import AT_ONCE, LONG_AFTER, conversation_in, item_kinds_left
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import EmbeddedInstance, Instance, held_instance, refusal

STATES = ("initializing", "active", "inactive", "closed")


@pytest.mark.each_engine
@pytest.mark.parametrize("state", STATES)
def test_deleted_conversation_is_not_found_at_once(instance: Instance, state: str) -> None:
    sid = conversation_in(instance, state)
    v1 = instance.client().conversations.v1
    members = v1.conversations(sid).participants.list()
    answered = instance.call("DELETE", f"/v1/Conversations/{sid}")
    assert (answered.status, answered.text) == (204, "")
    assert "Content-Type" not in answered.headers
    for name in (sid, "visit"):
        assert refusal(v1.conversations(name).fetch).code == 20404
        assert instance.call("GET", f"/v1/Conversations/{name}/Participants").body["code"] == 20404
        assert refusal(v1.conversations(name).delete).code == 20404
        for member in members:
            assert refusal(v1.conversations(name).participants(member.sid).fetch).code == 20404


@pytest.mark.each_engine
def test_update_of_deleted_conversation_conflicts_until_sweep(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = conversation_in(instance, "active")
    assert v1.conversations("visit").delete()
    error = refusal(lambda: v1.conversations(sid).update(friendly_name="x"))
    assert (error.status, error.code) == (409, 50334)
    assert refusal(lambda: v1.conversations("visit").update(friendly_name="x")).code == 20404
    instance.sweep(AT_ONCE)
    assert refusal(lambda: v1.conversations(sid).update(friendly_name="x")).code == 20404


@pytest.mark.each_engine
@pytest.mark.parametrize("state", STATES)
def test_deletion_releases_unique_name_and_addresses_at_once(instance: Instance, state: str) -> None:
    v1 = instance.client().conversations.v1
    v1.conversations(conversation_in(instance, state)).delete()
    assert instance.items("lock") == []
    again = conversation_in(instance, "active")
    assert v1.conversations("visit").fetch().sid == again
    v1.conversations(again).delete()
    v1.conversations(conversation_in(instance, state, CHAT_AND_SMS)).delete()
    assert v1.conversations(conversation_in(instance, "active", CHAT_AND_SMS)).fetch().state == "active"


@pytest.mark.each_engine
@pytest.mark.parametrize("state", STATES)
def test_sweep_leaves_only_events_of_deleted_conversation(instance: Instance, state: str) -> None:
    v1 = instance.client().conversations.v1
    other = v1.conversation_with_participants.create(participant=chat(3)).sid
    sid = conversation_in(instance, state)
    instance.work()
    v1.conversations(sid).delete()
    instance.work()
    instance.sweep(AT_ONCE)
    assert set(item_kinds_left(instance, sid)) == {"change"}
    assert instance.sweep(LONG_AFTER) == 0
    assert len(v1.conversations(other).participants.list()) == 3


@pytest.mark.each_engine
def test_sweep_erases_conversation_without_participants(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create(unique_name="visit").sid
    v1.conversations("visit").delete()
    instance.sweep(AT_ONCE)
    assert item_kinds_left(instance, sid) == ["change", "change"]


@pytest.mark.each_engine
def test_sweep_erases_many_items_page_by_page(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "ERASE_BATCH_SIZE", 3)
    sid = conversation_in(instance, "active", chat(10))
    instance.client().conversations.v1.conversations(sid).delete()
    instance.sweep(AT_ONCE)
    assert set(item_kinds_left(instance, sid)) == {"change", "left"}


def test_largest_messages_fit_into_one_erase_transaction(instance: Instance) -> None:
    """DynamoDB limits a transaction to 4 MB. moto and SQLite have no such limit, so this test adds up the sizes."""
    conversation = instance.client().conversations.v1.conversations(conversation_in(instance, "active", chat(1)))
    text = "\N{GRINNING FACE}" * 256
    conversation.messages.create(
        author=text,
        subject=text,
        attributes=json.dumps("x" * 4000),
        content_sid="HX" + "0" * 32,
        content_variables=json.dumps({str(number): text for number in range(100)}, ensure_ascii=False),
    )
    (message,) = instance.items("message#")
    assert (
        len(json.dumps(message, ensure_ascii=False, default=str).encode()) * conversations.ERASE_BATCH_SIZE < 4_000_000
    )


def test_sweep_that_runs_out_of_time_continues_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "ERASE_BATCH_SIZE", 3)
    with held_instance() as instance:
        sid = conversation_in(instance, "active", chat(10))
        instance.client().conversations.v1.conversations(sid).delete()
        until, sweep = instance.engine.edges.now() + LONG_AFTER, instance.engine.sweeper.sweep
        answers = joined([True, True, True], repeat(False))
        assert sweep(until, go_on=lambda: next(answers)) == 1
        assert [item_kinds_left(instance, sid).count(kind) for kind in ("identity", "participant")] == [6, 10]
        assert "conversation" in item_kinds_left(instance, sid)
        assert sweep(until) == 1
        assert set(item_kinds_left(instance, sid)) == {"change", "left"}


@pytest.mark.each_engine
def test_erasing_twice_has_same_effect_as_once(instance: Instance) -> None:
    sid = conversation_in(instance, "active")
    instance.client().conversations.v1.conversations(sid).delete()
    for _ in range(2):
        ConversationRepository(instance.table).erase(instance.account.sid, sid, lambda: True)
        assert set(item_kinds_left(instance, sid)) == {"change"}


# Locks of other conversations


class AdmissionSwitch:
    """A check that Convoke runs before it adds participants. It refuses every participant while `closed` is true."""

    closed = True

    def __call__(self, provisioning: Provisioning, participant: Participant) -> None:
        if self.closed:
            raise InvalidRoleSidError


@contextmanager
def failed_conversation(participants: list[str]) -> Iterator[tuple[EmbeddedInstance, str, str]]:
    """Yield an instance, the SID of a failed conversation, and the SID of a later conversation.

    The later conversation has the same unique name and the same addresses as the failed conversation.
    """
    admission = AdmissionSwitch()
    with held_instance(admit=admission) as instance:
        first = conversation_in(instance, "initializing", participants)
        instance.work()
        assert instance.client().conversations.v1.conversations(first).fetch().state == "closed"
        admission.closed = False
        yield instance, first, conversation_in(instance, "active", participants)


@pytest.mark.parametrize("participants", [CHAT_AND_SMS, GROUP_MMS], ids=["chat-and-sms", "group-mms"])
def test_deleting_failed_conversation_keeps_locks_of_its_successor(participants: list[str]) -> None:
    with failed_conversation(participants) as (instance, first, second):
        v1 = instance.client().conversations.v1
        before = [item for item in instance.items("") if item.get("conversation_sid") == second]
        v1.conversations(first).delete()
        instance.sweep(AT_ONCE)
        assert [item for item in instance.items("") if item.get("conversation_sid") == second] == before
        assert v1.conversations("visit").fetch().sid == second
        assert set(item_kinds_left(instance, first)) == {"alert", "change"}


# Events


def configure_webhook(v1: V1) -> None:
    filters = ["onConversationRemoved", "onConversationStateUpdated"]
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=filters)


def test_conversation_removed_event_has_last_stored_fields(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    configure_webhook(v1)
    sid = v1.conversations.create(friendly_name="Visit", unique_name="visit", attributes='{"a": 1}').sid
    # The Python SDK 9.13 accepts `x_twilio_webhook_enabled` in `delete`, but does not send the header.
    instance.call("DELETE", f"/v1/Conversations/{sid}", headers={"X-Twilio-Webhook-Enabled": "true"})
    (stored,) = instance.items("conversation")
    instance.work()
    (delivery,) = instance.receivers.posted
    assert delivery.event.payload == {
        "EventType": "onConversationRemoved",
        "AccountSid": instance.account.sid,
        "ChatServiceSid": instance.account.default_chat_service_sid,
        "MessagingServiceSid": instance.account.default_messaging_service_sid,
        "ConversationSid": sid,
        "Source": "API",
        "FriendlyName": "Visit",
        "UniqueName": "visit",
        "Attributes": '{"a": 1}',
        "State": "active",
        "DateCreated": stored["date_created"],
        "DateUpdated": stored["date_updated"],
        "DateRemoved": stored["date_removed"],
    }


class BusSwitch:
    """An event bus that refuses every event while `broken` is true."""

    broken = True

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def publish(self, events: Sequence[Event]) -> None:
        if self.broken:
            raise OSError("the bus is gone")
        self._bus.publish(events)


def test_unpublished_state_event_is_published_with_deletion() -> None:
    """The event bus refuses the state event, and then the conversation is deleted.

    The finalizer can no longer publish the state event, because the conversation is gone. Therefore the deletion must
    publish the state event.
    """
    with held_instance(rewire=lambda edges: replace(edges, event_bus=BusSwitch(edges.event_bus))) as instance:
        v1, bus = instance.client().conversations.v1, instance.engine.edges.event_bus
        assert isinstance(bus, BusSwitch)
        configure_webhook(v1)
        sid = v1.conversation_with_participants.create(participant=chat(2)).sid
        instance.run_steps()
        assert v1.conversations(sid).fetch().state == "active"
        v1.conversations(sid).delete()
        bus.broken = False
        for _ in range(2):
            instance.work()
            instance.sweep(LONG_AFTER)
        (delivery,) = instance.receivers.posted
        assert (delivery.event.payload["StateFrom"], delivery.event.payload["StateTo"]) == ("initializing", "active")
        assert "conversation" not in item_kinds_left(instance, sid)
