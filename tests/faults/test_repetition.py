"""The outcome is the same if messages arrive three times, late and in any order, or if sweepers run concurrently."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from convoke.embedded.engine import EmbeddedEdges
from tests.support.crashes import NOTIFIED_EVENT_TYPES, PARTICIPANTS, notified_event_types
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock

SENDING_METHODS = {"participant_queue": "send", "workflow": "start", "event_bus": "publish", "delivery_queue": "send"}
"""Maps each edge (a port to the outside) to its method that sends messages."""

DELIVERIES_PER_MESSAGE = 3


class Shuffler:
    """Holds back all messages, and later delivers each message three times in random order."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._kept: list[Callable[[], object]] = []
        self.delivered = 0

    def hold_back(self, edges: EmbeddedEdges) -> EmbeddedEdges:
        kept = {name: HoldingEdge(getattr(edges, name), verb, self) for name, verb in SENDING_METHODS.items()}
        return replace(edges, **kept)  # type: ignore[arg-type]

    def keep(self, deliver: Callable[[], object]) -> None:
        self._kept += [deliver] * DELIVERIES_PER_MESSAGE

    def deliver_all(self, instance: EmbeddedInstance) -> None:
        instance.work()
        while self._kept:
            self._kept.pop(self._random.randrange(len(self._kept)))()
            self.delivered += 1
            instance.work()


class HoldingEdge:
    """Wraps an edge, and holds back the messages that Convoke sends through the edge.

    The Shuffler later passes the messages to the edge.
    """

    def __init__(self, edge: object, verb: str, shuffler: Shuffler) -> None:
        self._edge = edge
        self._verb = verb
        self._shuffler = shuffler

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._edge, name)
        return self._keep(verb) if name == self._verb else verb

    def _keep(self, verb: Callable[..., Any]) -> Callable[..., None]:
        return lambda *arguments: self._shuffler.keep(partial(verb, *arguments))


@pytest.mark.parametrize("seed", range(4))
def test_messages_delivered_three_times_in_any_order_take_effect_once(seed: int) -> None:
    shuffler = Shuffler(seed)
    with held_instance(":memory:", shuffler.hold_back) as instance:
        v1 = instance.client().conversations.v1
        v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=NOTIFIED_EVENT_TYPES)
        create = v1.conversation_with_participants.create
        sid = create(unique_name="visit", participant=PARTICIPANTS, x_twilio_webhook_enabled="true").sid
        shuffler.deliver_all(instance)
        conversation = v1.conversations(sid)
        assert conversation.fetch().state == "active"
        conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
        conversation.update(state="closed", x_twilio_webhook_enabled="true")
        shuffler.deliver_all(instance)
        assert len(conversation.participants.list()) == len(PARTICIPANTS)
        added, state = ["onParticipantAdded"] * 10, "onConversationStateUpdated"
        assert notified_event_types(instance) == sorted(["onConversationAdded", "onMessageAdded", state, state, *added])
        (stored,) = instance.items("conversation")
        assert "due_at" not in stored
        assert instance.waiting_messages("delivery") == instance.waiting_messages("delivery-dlq") == 0
        assert shuffler.delivered > 2 * len(SENDING_METHODS) * DELIVERIES_PER_MESSAGE


def test_concurrent_sweepers_do_all_due_work_once(tmp_path: Path) -> None:
    """Two engines share a data file, and the participant queue loses all messages.

    The sweepers must add the participants, expire the timer, and erase the deleted conversation.
    """
    data, clock = str(tmp_path / "convoke.db"), ManualClock()
    with held_instance(data, now=clock.now) as one, held_instance(data, now=clock.now) as other:
        v1 = one.client().conversations.v1
        create = v1.conversation_with_participants.create
        sids = [create(participant=[each]).sid for each in PARTICIPANTS[:5]]
        asleep = v1.conversations.create(timers_inactive="PT1M").sid
        v1.conversations(v1.conversations.create().sid).delete()
        one.lose_messages()
        clock.move(timedelta(minutes=1))

        def recover(instance: EmbeddedInstance) -> None:
            for _ in range(3):
                instance.sweep(timedelta(0))
                instance.work()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(recover, (one, other)))
        assert {v1.conversations(sid).fetch().state for sid in sids} == {"active"}
        assert [len(v1.conversations(sid).participants.list()) for sid in sids] == [1] * 5
        assert v1.conversations(asleep).fetch().state == "inactive"
        ends = [event["conversation_sid"] for change in one.changes() for event in change["events"]
                if event["type"] == "onConversationStateUpdated"]  # fmt: skip
        assert sorted(ends) == sorted([*sids, asleep])
        assert [item for item in one.items("conversation") if "due_at" in item] == []
