"""A timer runs out and the process dies; another one takes over, and it has run out once, whole and told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.crashes import PARTICIPANTS, PROXY, Life, crash_points, notified_event_types, recover
from tests.support.instances import Instance
from tests.support.manual_clock import ManualClock

NOW, LONG_AFTER = timedelta(0), timedelta(days=1)


def creates(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    timers = {"timers_inactive": "PT1M", "timers_closed": "PT10M"}
    create(unique_name="visit", participant=PARTICIPANTS, **timers)


def comes_alive(instance: Instance) -> None:
    creates(instance)
    instance.work()


def runs_out(clock: ManualClock) -> Life:
    """It falls asleep at its time and closes at its time."""

    def life(instance: Instance) -> None:
        for minutes in (1, 9):
            clock.move(timedelta(minutes=minutes))
            instance.sweep(NOW)
            instance.work()

    return life


def all_of_it(clock: ManualClock) -> Life:
    def life(instance: Instance) -> None:
        comes_alive(instance)
        runs_out(clock)(instance)

    return life


def long_after(clock: ManualClock) -> Life:
    def wake(heir: Instance) -> None:
        """Its members may come in only now, so its timers have their time again."""
        recover(heir)
        clock.move(LONG_AFTER)
        heir.sweep(NOW)

    return wake


@pytest.mark.parametrize("whole", [True, False], ids=["from its creation on", "once it is active"])
def test_crash_while_timers_expire_closes_once_and_notifies_every_state(tmp_path: Path, whole: bool) -> None:
    clock = ManualClock()
    life, before = (all_of_it(clock), lambda _: None) if whole else (runs_out(clock), comes_alive)
    told = set()
    for heir in crash_points(tmp_path, life, before, long_after(clock), now=clock.now):
        conversations = heir.items("conversation")
        assert whole or conversations
        for conversation in conversations:
            assert (conversation["state"], conversation["unsettled"]) == ("closed", False)
            assert "due_at" not in conversation
            assert "due_shard" not in conversation
            assert (len(heir.items("lock")), len(heir.items(PROXY))) == (1, 0)
            states = [event["payload"]["StateTo"] for change in heir.changes() for event in state_events(change)]
            assert sorted(states) in (["active", "closed"], ["active", "closed", "inactive"])
            assert notified_event_types(heir).count("onConversationStateUpdated") == len(states)
            told.add(len(states))
    assert told == ({2, 3} if whole else {3})


def state_events(change: dict[str, list[dict[str, dict[str, str]]]]) -> list[dict[str, dict[str, str]]]:
    return [event for event in change["events"] if "StateTo" in event["payload"]]
