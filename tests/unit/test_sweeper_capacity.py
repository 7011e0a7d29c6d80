"""In a simulation of AWS, the sweeper processes at least 500 due conversations per second.

tests/benchmarks/sweeper.py simulates the calls. The cost model (tests/benchmarks/cost.py) provides their durations. A
further test checks that the sweeper really makes the simulated calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.benchmarks.sweeper import KINDS, rate
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock

GOAL = 500


@pytest.mark.parametrize("kind", KINDS)
def test_sweeper_reaches_the_goal(kind: str) -> None:
    assert rate(KINDS[kind], with_cpu=False) >= GOAL


def test_timers_reach_the_goal_including_processor_time() -> None:
    assert rate(KINDS["a timer"]) >= GOAL


def test_one_thread_misses_the_goal() -> None:
    assert rate(KINDS["a timer"], with_cpu=False, threads=1) < GOAL


CALLS = {
    "get_many": "dynamodb:BatchGetItem",
    "update": "dynamodb:UpdateItem",
    "transact": "dynamodb:TransactWriteItems",
    "start": "stepfunctions:StartExecution",
}


@dataclass
class Counted:
    """Wraps the table or the workflow of the embedded engine, and counts the calls.

    Each call is counted as the AWS operation that the AWS engine would use. See CALLS.
    """

    edge: Any
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        if name in CALLS:
            self.calls[CALLS[name]] += 1
        return getattr(self.edge, name)


def expired_timer(instance: EmbeddedInstance) -> None:
    instance.client().conversations.v1.conversations.create(timers_inactive="PT1M")


def lost_participants(instance: EmbeddedInstance) -> None:
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(10))
    instance.lose_messages()


@pytest.mark.parametrize(
    ("kind", "make_due"), [("a timer", expired_timer), ("ten participants to add", lost_participants)]
)
def test_model_has_the_calls_that_the_sweeper_makes(kind: str, make_due: Callable[[EmbeddedInstance], None]) -> None:
    table, workflow = Counted(None), Counted(None)

    def rewire(edges: Any) -> Any:
        table.edge, workflow.edge = edges.table, edges.workflow
        return replace(edges, table=table, workflow=workflow)

    clock = ManualClock()
    with held_instance(rewire=rewire, now=clock.now) as instance:
        make_due(instance)
        clock.move(timedelta(hours=1))
        table.calls.clear()
        assert instance.sweep(timedelta()) == 1
        assert table.calls + workflow.calls == KINDS[kind].calls
