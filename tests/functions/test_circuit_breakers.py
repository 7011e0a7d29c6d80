"""On AWS, all processes of a deployment share each receiver's circuit breaker.

See docs/behaviour/webhook-delivery.md#circuit-breaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.aws.deliveries import (
    MAX_PAUSED_RECEIVES,
    MAX_SPREAD_SECONDS,
    PROBE_PAUSE,
    Deliveries,
    SharedCircuitBreakers,
    spread_seconds,
)
from convoke.aws.delivery_queue import MAX_VISIBILITY_SECONDS
from convoke.domain.circuit_breakers import CLOSED, FAILURES_TO_OPEN, FIRST_PAUSE, MAX_PAUSE, CircuitBreaker
from convoke.domain.connections import MAX_RETRIES
from convoke.domain.webhooks import Delivery
from convoke.operations.ports import RetryLaterError
from convoke.operations.webhook_delivery import DeliveryFailedError
from convoke.storage.circuit_breakers import LIFETIME, CircuitBreakerRepository
from convoke.storage.table import Key, Table, Update
from tests.support.aws import moto_instance
from tests.support.events import a_delivery
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.tables import memory_table, moto_table
from tests.support.template import resources

RECEIVER = "AC1 https://hooks.example.com:443"
OTHER_ACCOUNT = "AC2 https://hooks.example.com:443"

SECOND = timedelta(seconds=1)


@dataclass
class CountingTable:
    """Wraps a table, and records the reads and writes of circuit breakers."""

    table: Any
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def get(self, key: Key) -> Any:
        if key.sk == "circuit-breaker":
            self.calls.append("read")
        return self.table.get(key)

    def update(self, update: Update) -> Any:
        if update.key.sk == "circuit-breaker":
            self.calls.append("write")
        return self.table.update(update)


class Deployment:
    """Simulates several processes that deliver webhooks. Their circuit breakers share only the table."""

    def __init__(self, instance: EmbeddedInstance, clock: ManualClock) -> None:
        self.instance = instance
        self.clock = clock
        self.table = CountingTable(instance.table)
        self.number = 0
        self.answers = instance.receivers.statuses

    def process(self) -> Deliveries:
        breakers = SharedCircuitBreakers(CircuitBreakerRepository(self.table), self.clock.now)
        return Deliveries(self.instance.engine.program.webhook_delivery, breakers, self.clock.now)

    def delivery(self, url: str = "https://hooks.example.com/") -> Delivery:
        self.number += 1
        return a_delivery(self.instance.account.sid, url, self.number)

    def attempt(self, process: Deliveries, status: int | None = 500, receive_count: int = 1, url: str = "") -> bool:
        """Pass a new delivery to `process`. Return whether `process` called the receiver.

        The receiver answers with `status`. None means no answer.
        """
        calls = len(self.instance.receivers.posted)
        self.answers[:] = [status]
        with suppress(RetryLaterError, DeliveryFailedError):
            process.attempt(self.delivery(url or "https://hooks.example.com/"), receive_count)
        return len(self.instance.receivers.posted) > calls

    def open(self, process: Deliveries) -> None:
        for _ in range(FAILURES_TO_OPEN):
            assert self.attempt(process)


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        yield Deployment(instance, clock)


def test_healthy_receiver_costs_no_call_for_its_circuit_breaker(deployment: Deployment) -> None:
    for process in (deployment.process(), deployment.process()):
        for _ in range(10):
            assert deployment.attempt(process, 200)
    assert deployment.table.calls == []


def test_failures_in_a_row_pause_deliveries_to_the_receiver_only(deployment: Deployment) -> None:
    process = deployment.process()
    deployment.open(process)
    assert not deployment.attempt(process, 200)
    assert deployment.attempt(process, 200, url="https://hooks.example.com:8443/")
    assert deployment.attempt(process, 200, url="http://hooks.example.com/")
    assert deployment.attempt(process, 200, url="https://other.example.com/")


def test_failures_in_several_processes_add_up(deployment: Deployment) -> None:
    processes = [deployment.process() for _ in range(FAILURES_TO_OPEN)]
    for process in processes:
        assert deployment.attempt(process)
    assert not deployment.attempt(processes[-1])
    latest = [item.get("paused_until") for item in deployment.instance.items("attempt#")][-1]
    assert latest is not None


def test_pause_is_shown_in_the_ledger(deployment: Deployment) -> None:
    process = deployment.process()
    deployment.open(process)
    found = [item.get("paused_until") for item in deployment.instance.items("attempt#")]
    (shown,) = [moment for moment in found if moment]
    assert len(found) == FAILURES_TO_OPEN
    assert datetime.fromisoformat(str(shown)) == deployment.clock.present + FIRST_PAUSE


def test_paused_delivery_is_not_an_attempt_and_writes_nothing(deployment: Deployment) -> None:
    process = deployment.process()
    deployment.open(process)
    calls, attempts = len(deployment.table.calls), deployment.instance.items("attempt#")
    with pytest.raises(RetryLaterError) as later:
        process.attempt(deployment.delivery(), 1)
    assert FIRST_PAUSE.total_seconds() <= later.value.seconds <= FIRST_PAUSE.total_seconds() + 2
    assert (len(deployment.table.calls), deployment.instance.items("attempt#")) == (calls, attempts)


def test_redelivered_message_asks_the_table_for_the_circuit_breaker(deployment: Deployment) -> None:
    deployment.open(deployment.process())
    other = deployment.process()
    deployment.table.calls.clear()
    assert not deployment.attempt(other, receive_count=2)
    assert not deployment.attempt(other, receive_count=2), "the process remembers the circuit breaker"
    assert deployment.table.calls == ["read"]


def test_new_process_learns_of_the_pause_from_its_first_failure(deployment: Deployment) -> None:
    deployment.open(deployment.process())
    other = deployment.process()
    deployment.table.calls.clear()
    assert deployment.attempt(other)
    assert not deployment.attempt(other)
    assert deployment.table.calls == ["write"], "a write whose condition fails"


def test_one_process_probes_after_the_pause(deployment: Deployment) -> None:
    processes = [deployment.process() for _ in range(4)]
    deployment.open(processes[0])
    for process in processes:
        assert not deployment.attempt(process, receive_count=2)
    deployment.clock.move(FIRST_PAUSE)
    during: list[bool] = []

    def others_try() -> None:
        deployment.instance.receivers.on_call = lambda: None
        during.extend(deployment.attempt(process, receive_count=2) for process in processes[1:])
        deployment.answers[:] = [500]

    deployment.instance.receivers.on_call = others_try
    assert deployment.attempt(processes[0], receive_count=2)
    assert during == [False, False, False]


def test_failed_probe_doubles_the_pause(deployment: Deployment) -> None:
    process = deployment.process()
    deployment.open(process)
    pause = FIRST_PAUSE
    while pause < MAX_PAUSE:
        deployment.clock.move(pause)
        assert deployment.attempt(process)
        pause = min(2 * pause, MAX_PAUSE)
        deployment.clock.move(pause - SECOND / 1000)
        assert not deployment.attempt(process)
        deployment.clock.move(-(pause - SECOND / 1000))
    deployment.clock.move(MAX_PAUSE)
    assert deployment.attempt(process)


def test_successful_probe_closes_the_circuit_breaker_for_all_processes(deployment: Deployment) -> None:
    one, other = deployment.process(), deployment.process()
    deployment.open(one)
    assert not deployment.attempt(other, receive_count=2)
    deployment.clock.move(FIRST_PAUSE)
    assert deployment.attempt(one, 200)
    deployment.table.calls.clear()
    assert deployment.attempt(one, 200)
    assert deployment.table.calls == [], "after its first success, the receiver costs no call again"
    assert deployment.attempt(other, 200), "the claim of a probe fails, and shows that the circuit breaker is closed"
    for process in (one, other):
        for _ in range(FAILURES_TO_OPEN - 1):
            deployment.attempt(process)
        assert deployment.attempt(process, 200), "the count has started again"


@pytest.mark.parametrize("status", [200, 404])
def test_success_and_refusal_end_a_row_of_failures(deployment: Deployment, status: int) -> None:
    process = deployment.process()
    for _ in range(2 * FAILURES_TO_OPEN):
        assert deployment.attempt(process)
        assert deployment.attempt(process, status)


def test_probe_whose_process_dies_is_followed_by_another(deployment: Deployment) -> None:
    one, other = deployment.process(), deployment.process()
    deployment.open(one)
    deployment.clock.move(FIRST_PAUSE)
    one.breakers.admit(f"{deployment.instance.account.sid} https://hooks.example.com:443", look_up=True)
    assert not deployment.attempt(other, receive_count=2)
    deployment.clock.move(PROBE_PAUSE)
    assert deployment.attempt(other, receive_count=2)


def test_delivery_is_attempted_before_sqs_gives_it_up_although_its_receiver_is_paused(deployment: Deployment) -> None:
    process = deployment.process()
    deployment.open(process)
    assert not deployment.attempt(process, receive_count=MAX_PAUSED_RECEIVES)
    assert deployment.attempt(process, receive_count=MAX_PAUSED_RECEIVES + 1)
    assert not deployment.attempt(process), "the failure has changed nothing"
    assert deployment.attempt(process, 200, receive_count=MAX_PAUSED_RECEIVES + 1)
    assert deployment.attempt(process, 200), "the success has ended the pause"
    max_receives = resources("AWS::SQS::Queue")["DeliveryQueue"]["RedrivePolicy"]["maxReceiveCount"]
    assert max_receives - MAX_PAUSED_RECEIVES >= 1 + MAX_RETRIES
    assert MAX_PAUSE.total_seconds() + MAX_SPREAD_SECONDS < MAX_VISIBILITY_SECONDS


def test_pauses_of_waiting_deliveries_spread_more_and_more() -> None:
    for count in (1, 5, 9):
        spread = [spread_seconds(count) for _ in range(100)]
        assert 2**count / 2 < max(spread) <= 2**count
    assert max(spread_seconds(90) for _ in range(100)) <= MAX_SPREAD_SECONDS


def test_process_remembers_a_bounded_number_of_receivers(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.aws.deliveries.MAX_KNOWN_RECEIVERS", 2)
    process = deployment.process()
    for port in (1, 2, 3):
        deployment.attempt(process, url=f"https://hooks.example.com:{port}/")
    assert [receiver.rpartition(":")[2] for receiver in process.breakers._known] == ["2", "3"]


def test_circuit_breaker_of_another_account_is_separate(deployment: Deployment) -> None:
    repository, now = CircuitBreakerRepository(deployment.instance.table), deployment.clock.present
    opened = CircuitBreaker(FAILURES_TO_OPEN, now + SECOND)
    assert repository.replace(RECEIVER, CLOSED, opened, now) is opened
    assert repository.fetch(RECEIVER, now) == opened
    assert repository.fetch(OTHER_ACCOUNT, now) == CLOSED


# The repository on both engines


@contextmanager
def each_table(engine: str) -> Iterator[Table]:
    with memory_table() if engine == "sqlite" else moto_table() as table:
        yield table


@pytest.mark.parametrize("engine", ["sqlite", "dynamodb-on-moto"])
def test_stored_circuit_breaker_is_replaced_only_if_it_is_the_expected_one(engine: str) -> None:
    now = ManualClock().present
    states = [CLOSED, CircuitBreaker(4), CircuitBreaker(5, now), CircuitBreaker(5, now + SECOND)]
    with each_table(engine) as table:
        repository = CircuitBreakerRepository(table)
        for stored in states:
            for expected in states:
                repository.close(RECEIVER, now)
                repository.replace(RECEIVER, CLOSED, stored, now)
                after = CircuitBreaker(9, now + MAX_PAUSE)
                found = repository.replace(RECEIVER, expected, after, now)
                assert found == (after if stored == expected else stored)
                assert repository.fetch(RECEIVER, now) == found


@pytest.mark.parametrize("engine", ["sqlite", "dynamodb-on-moto"])
def test_circuit_breaker_that_nobody_has_changed_for_an_hour_counts_as_closed(engine: str) -> None:
    now = ManualClock().present
    with each_table(engine) as table:
        repository = CircuitBreakerRepository(table)
        repository.replace(RECEIVER, CLOSED, CircuitBreaker(4), now)
        later = now + LIFETIME + SECOND
        assert repository.fetch(RECEIVER, now + LIFETIME) == CircuitBreaker(4)
        assert repository.fetch(RECEIVER, later) == CLOSED
        assert repository.replace(RECEIVER, CLOSED, CircuitBreaker(1), later) == CircuitBreaker(1)


# Properties


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([200, 500, None]), st.integers(0, 70)), max_size=60),
)
def test_no_receiver_is_paused_for_ever_whatever_the_processes_do(steps: list[tuple[int, int | None, int]]) -> None:
    """After the longest pause, each process must call the receiver.

    A step has three parts: the process that attempts a delivery, the receiver's answer, and the seconds until the next
    step.
    """
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        deployment = Deployment(instance, clock)
        processes = [deployment.process() for _ in range(3)]
        for process, status, seconds in steps:
            deployment.attempt(processes[process], status, receive_count=2)
            clock.move(timedelta(seconds=seconds))
        clock.move(max(MAX_PAUSE, PROBE_PAUSE))
        assert [deployment.attempt(process, 200, receive_count=2) for process in processes] == [True, True, True]


def test_function_pauses_a_failing_receiver_and_leaves_others_alone() -> None:
    """The deliveries pass through the queue, the handler and the table, as on AWS."""
    clock = ManualClock()
    with moto_instance(now=clock.now) as moto:
        v1 = moto.client().conversations.v1
        v1.configuration.webhooks().update(post_webhook_url="https://dead.example.com/", filters=["onMessageAdded"])
        conversation = v1.conversations(v1.conversations.create().sid)
        for _ in range(FAILURES_TO_OPEN + 3):
            conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
        moto.receivers.statuses = [500] * FAILURES_TO_OPEN
        moto.work()
        assert len(moto.receivers.posted) == FAILURES_TO_OPEN
        assert moto.waiting_messages("delivery") == FAILURES_TO_OPEN + 3
        clock.move(FIRST_PAUSE)
        moto.forget_pauses()
        moto.work()
        assert moto.waiting_messages("delivery") == 0
        assert len(moto.receivers.posted) == 2 * FAILURES_TO_OPEN + 3
