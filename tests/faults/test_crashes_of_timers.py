"""If the process crashes while timers expire, the conversation is closed once, and each new state causes a webhook."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.crashes import PARTICIPANTS, PROXY, Scenario, crash_points, notified_event_types, recover
from tests.support.instances import Instance
from tests.support.manual_clock import ManualClock

NOW, LONG_AFTER = timedelta(0), timedelta(days=1)


def create_conversation(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    timers = {"timers_inactive": "PT1M", "timers_closed": "PT10M"}
    create(unique_name="visit", participant=PARTICIPANTS, **timers)


def create_until_active(instance: Instance) -> None:
    create_conversation(instance)
    instance.work()


def expire_timers(clock: ManualClock) -> Scenario:
    """Let the inactive timer expire, and then the closed timer."""

    def scenario(instance: Instance) -> None:
        for minutes in (1, 9):
            clock.move(timedelta(minutes=minutes))
            instance.sweep(NOW)
            instance.work()

    return scenario


def create_and_expire_timers(clock: ManualClock) -> Scenario:
    def scenario(instance: Instance) -> None:
        create_until_active(instance)
        expire_timers(clock)(instance)

    return scenario


def expire_timers_after_restart(clock: ManualClock) -> Scenario:
    def scenario(restarted: Instance) -> None:
        # The timers start when the participants are added. Therefore finish the interrupted work first.
        recover(restarted)
        clock.move(LONG_AFTER)
        restarted.sweep(NOW)

    return scenario


@pytest.mark.parametrize("from_creation", [True, False], ids=["crash at any time", "crash after it is active"])
def test_crash_while_timers_expire_closes_once_and_notifies_every_state(tmp_path: Path, from_creation: bool) -> None:
    clock = ManualClock()
    if from_creation:
        scenario, prepare = create_and_expire_timers(clock), lambda _: None
    else:
        scenario, prepare = expire_timers(clock), create_until_active
    state_events_count = set()
    for restarted in crash_points(tmp_path, scenario, prepare, expire_timers_after_restart(clock), now=clock.now):
        conversations = restarted.items("conversation")
        assert from_creation or conversations
        for conversation in conversations:
            assert (conversation["state"], conversation["unsettled"]) == ("closed", False)
            assert "due_at" not in conversation
            assert "due_shard" not in conversation
            assert (len(restarted.items("lock")), len(restarted.items(PROXY))) == (1, 0)
            states = [event["payload"]["StateTo"] for change in restarted.changes() for event in state_events(change)]
            assert sorted(states) in (["active", "closed"], ["active", "closed", "inactive"])
            assert notified_event_types(restarted).count("onConversationStateUpdated") == len(states)
            state_events_count.add(len(states))
    # If both timers expire before the first sweep, the sweep skips the state `inactive`.
    assert state_events_count == ({2, 3} if from_creation else {3})


def state_events(change: dict[str, list[dict[str, dict[str, str]]]]) -> list[dict[str, dict[str, str]]]:
    return [event for event in change["events"] if "StateTo" in event["payload"]]
