"""The state of a conversation determines which requests Convoke accepts. See docs/behaviour/states-and-timers.md."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.rest.conversations.v1 import V1

from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import Instance, held_instance, refusal
from tests.support.manual_clock import ManualClock


def of_group(v1: V1) -> Any:
    return v1.conversation_with_participants.create(unique_name="visit", participant=GROUP_MMS)


def of_pair(v1: V1) -> Any:
    return v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS)


@pytest.mark.each_engine
@pytest.mark.parametrize("make", [of_group, of_pair])
def test_update_of_initializing_conversation_gets_409_with_retry_after(
    instance: Instance, make: Callable[[V1], Any]
) -> None:
    v1 = instance.client().conversations.v1
    sid = make(v1).sid
    before = instance.items("")
    for parameters in ({}, {"FriendlyName": "x"}, {"State": "closed"}, {"Timers.Inactive": "PT1M"}):
        refused = instance.call("POST", f"/v1/Conversations/{sid}", parameters)
        assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (409, 50386, "1")
    assert instance.items("") == before
    instance.work()
    assert v1.conversations(sid).update(friendly_name="x").friendly_name == "x"


@pytest.mark.each_engine
def test_closed_conversation_refuses_every_update(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create().sid
    v1.conversations(sid).update(state="closed")
    before = instance.items("")
    for parameters in ({}, {"FriendlyName": "x"}, {"State": "active"}, {"State": "closed"}, {"UniqueName": "x"}):
        refused = instance.call("POST", f"/v1/Conversations/{sid}", parameters)
        assert (refused.status, refused.body["code"]) == (400, 50377)
        assert "Retry-After" not in refused.headers
    assert instance.items("") == before


@pytest.mark.each_engine
def test_conversation_is_readable_in_every_state(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = of_pair(v1).sid
    steps: dict[str, Callable[[], object]] = {
        "initializing": lambda: None,
        "active": instance.work,
        "inactive": lambda: v1.conversations(sid).update(state="inactive"),
        "closed": lambda: v1.conversations(sid).update(state="closed"),
    }
    for state, step in steps.items():
        step()
        assert v1.conversations(sid).fetch().state == v1.conversations("visit").fetch().state == state
        assert len(v1.conversations("visit").participants.list()) == (0 if state == "initializing" else 2)


@pytest.mark.each_engine
def test_conversation_changes_between_active_and_inactive(instance: Instance) -> None:
    conversation = instance.client().conversations.v1.conversations.create()
    for state in ("inactive", "active", "inactive", "closed"):
        assert conversation.update(state=state).state == state


@pytest.mark.each_engine
@pytest.mark.parametrize("make", [of_group, of_pair])
@pytest.mark.parametrize("state", ["active", "inactive"])
def test_closing_releases_addresses_and_keeps_unique_name(
    instance: Instance, make: Callable[[V1], Any], state: str
) -> None:
    v1 = instance.client().conversations.v1
    first = make(v1).sid
    instance.work()
    v1.conversations(first).update(state=state)
    v1.conversations(first).update(state="closed")
    error = refusal(lambda: make(v1))
    assert (error.code, error.details["conflicting_conversation_sid"]) == (50353, first)
    assert "problems" not in error.details

    v1.conversations(first).delete()
    second = make(v1).sid
    instance.work()
    assert v1.conversations("visit").fetch().sid == second
    assert v1.conversations(second).fetch().state == "active"


@pytest.mark.each_engine
@pytest.mark.parametrize("participants", [CHAT_AND_SMS, GROUP_MMS], ids=["chat-and-sms", "group-mms"])
def test_addresses_are_refused_until_conversation_is_closed(instance: Instance, participants: list[str]) -> None:
    v1 = instance.client().conversations.v1
    create = v1.conversation_with_participants.create
    first = create(participant=participants)
    instance.work()
    assert refusal(lambda: create(participant=participants)).code in {50425, 50438}
    v1.conversations(first.sid).update(state="closed")
    second = create(participant=participants)
    instance.work()
    assert v1.conversations(second.sid).fetch().state == "active"
    assert v1.conversations(first.sid).fetch().state == "closed"

    v1.conversations(first.sid).delete()
    error = refusal(lambda: create(participant=participants))
    assert error.details["conflicting_conversation_sid"] == second.sid


# Timers


@pytest.mark.each_engine
def test_timers_are_replaced_and_removed_separately(instance: Instance) -> None:
    conversation = instance.client().conversations.v1.conversations.create(timers_inactive="PT1M", timers_closed="P1D")
    assert set(conversation.timers) == {"date_inactive", "date_closed"}
    assert set(conversation.update(timers_inactive="PT0S").timers) == {"date_closed"}
    again = conversation.update(timers_inactive="PT2H")
    distance = moment(again.timers["date_closed"]) - moment(again.timers["date_inactive"])
    assert timedelta(hours=21) < distance <= timedelta(hours=22)
    assert conversation.update(state="closed").timers == {}


moment = datetime.fromisoformat


def clock_of_whole_seconds() -> ManualClock:
    """Return a clock without fractions of a second, because dates in responses have no fractions."""
    clock = ManualClock()
    clock.present = clock.present.replace(microsecond=0)
    return clock


def test_update_restarts_both_timers_and_fetch_does_not() -> None:
    clock = clock_of_whole_seconds()
    with held_instance(now=clock.now) as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations.create(timers_inactive="PT1M", timers_closed="PT10M")
        clock.move(timedelta(seconds=30))
        assert conversation.fetch().timers == conversation.timers
        assert conversation.update().timers == conversation.timers
        restarted = conversation.update(friendly_name="x").timers
        assert moment(restarted["date_inactive"]) == clock.present + timedelta(minutes=1)
        assert moment(restarted["date_closed"]) == clock.present + timedelta(minutes=10)


def test_date_updated_never_decreases() -> None:
    clock = clock_of_whole_seconds()
    with held_instance(now=clock.now) as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations.create()
        clock.move(timedelta(hours=1))
        assert conversation.update(friendly_name="x").date_updated == clock.present
        clock.move(timedelta(minutes=-30))
        skewed = conversation.update(friendly_name="y")
        assert (skewed.friendly_name, skewed.date_updated) == ("y", clock.present + timedelta(minutes=30))
        back_dated = conversation.update(date_updated=datetime(2020, 1, 1, tzinfo=UTC))
        assert back_dated.date_updated == skewed.date_updated
