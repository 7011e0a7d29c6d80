"""The embedded engine schedules webhook deliveries (embedded/deliveries.py)."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from convoke.domain.circuit_breakers import line_key
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.embedded import deliveries as module
from convoke.embedded.deliveries import (
    EVENTS_PER_TICK,
    MAX_CONCURRENT_DELIVERIES,
    MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT,
    MAX_CONCURRENT_DELIVERIES_PER_RECEIVER,
    MAX_STARTS_PER_TICK,
    ConcurrentDeliveries,
    Deliveries,
)
from convoke.embedded.handover import SqliteDeliveryQueue
from convoke.embedded.queue import (
    NO_RECEIVER,
    VISIBILITY_TIMEOUT_SECONDS,
    DeadLetterQueue,
    DurableQueue,
    QueuedMessage,
)
from convoke.embedded.sqlite import SqliteTable
from convoke.operations.ports import RetryLaterError
from convoke.operations.webhook_delivery import BegunDelivery, DeliveryFailedError, Outcome
from convoke.storage.table import Key, Put
from tests.support.busy import roll_back_during_select
from tests.support.events import a_delivery, an_event
from tests.support.manual_clock import ManualClock
from tests.support.sqlite_steps import steps

TIMEOUT_SECONDS = 10.0

OK = Outcome(200)


class FakeDelivery:
    """A fake that replaces WebhookDelivery and the receivers.

    `outcomes` maps a host to the outcome of each call to the host. A call to a host that is not in `outcomes` succeeds.
    A call to a host in `hanging` waits until the test sets `cut` or calls `answer_all`. If only `cut` is set, the call
    fails.
    """

    def __init__(self, table: SqliteTable, clock: ManualClock) -> None:
        self._table = table
        self._clock = clock
        self.outcomes: dict[str, Outcome] = {}
        self.hanging: set[str] = set()
        self.cut = threading.Event()
        self.may_answer = threading.Event()
        self.split_events: list[str] = []
        self.begun: list[str] = []
        self.numbers: list[int] = []
        self.called: list[str] = []
        self.finished: list[str] = []
        self.paused_until: list[datetime | None] = []
        self.on_begin: Callable[[Delivery], None] = lambda delivery: None
        self.on_finish: Callable[[Delivery], None] = lambda delivery: None
        self.now_under_way: Counter[str] = Counter()
        self.most_under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    def split(self, event: Event) -> None:
        self.split_events.append(event.id)

    def begin(self, delivery: Delivery, number: int) -> BegunDelivery:
        self._table.transact([Put({"pk": "attempt", "sk": f"{delivery.event.id} {delivery.url} {number}"})])
        self.on_begin(delivery)
        self.begun.append(host_of(delivery))
        self.numbers.append(number)
        return BegunDelivery(delivery, EventAttempt.begun(delivery, number, self._clock.now()), "token")

    def call(self, begun: BegunDelivery) -> Outcome:
        host = host_of(begun.delivery)
        with self._lock:
            self.called.append(host)
            for key in (host, begun.delivery.account_sid, "all"):
                self.now_under_way[key] += 1
                self.most_under_way[key] = max(self.most_under_way[key], self.now_under_way[key])
        outcome = self.outcomes.get(host, OK)
        if host in self.hanging and not self.may_answer.is_set():
            outcome = (
                Outcome(None, "cut") if self.cut.wait(TIMEOUT_SECONDS) and not self.may_answer.is_set() else outcome
            )
        with self._lock:
            for key in (host, begun.delivery.account_sid, "all"):
                self.now_under_way[key] -= 1
        return outcome

    def finish(self, begun: BegunDelivery, outcome: Outcome, paused_until: datetime | None = None) -> None:
        self.paused_until.append(paused_until)
        self.on_finish(begun.delivery)
        self.finished.append(host_of(begun.delivery))
        if outcome.is_retryable:
            raise RetryLaterError(0)
        if not outcome.is_delivered:
            raise DeliveryFailedError("refused")

    def answer_all(self) -> None:
        self.may_answer.set()
        self.cut.set()


def host_of(delivery: Delivery) -> str:
    return delivery.url.removeprefix("https://").partition("/")[0]


class Machine:
    def __init__(self, path: str) -> None:
        self.clock = ManualClock()
        self.table = SqliteTable(path)
        self.queue = DurableQueue(self.table, "delivery", self.clock.now)
        self.dead_letters = DeadLetterQueue(self.table, "delivery", self.clock.now)
        self.fake = FakeDelivery(self.table, self.clock)
        self.deliveries = Deliveries(self.queue, self.fake, NotImplemented)  # type: ignore[arg-type]
        self.concurrent: ConcurrentDeliveries

    def next_receiver(self) -> str | None:
        """Return the receiver whose delivery would start first, or None if no delivery can start now."""
        concurrent, now = self.concurrent, self.clock.now()
        return next((each for each in concurrent._receivers_in_turn() if concurrent._is_next(each, now)), None)

    def send(self, host: str, count: int = 1, account_sid: str = "AC1") -> None:
        wake = self.concurrent.wake if hasattr(self, "concurrent") else lambda: None
        messages = [a_delivery(account_sid, f"https://{host}/{number}", number) for number in range(count)]
        SqliteDeliveryQueue(self.queue, wake).send(messages)

    def send_events(self, count: int) -> None:
        SqliteDeliveryQueue(self.queue, self.concurrent.wake).send([an_event("AC1", n) for n in range(count)])

    def counts(self) -> list[int]:
        return [count for (count,) in self.table.rows("SELECT receive_count FROM messages ORDER BY id")]

    def is_idle(self) -> bool:
        return not self.concurrent._receivers

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():
                await asyncio.sleep(0.001)

    async def stays(self, condition: Callable[[], Any]) -> None:
        for _ in range(20):
            self.concurrent.wake()
            await asyncio.sleep(0.001)
            assert condition()

    async def stop(self) -> None:
        self.fake.answer_all()
        await self.concurrent.stop(TIMEOUT_SECONDS, lambda: None)


def run(scenario: Callable[[Machine], Awaitable[None]], path: str = ":memory:") -> None:
    async def attached() -> None:
        machine = Machine(path)
        loop = asyncio.get_running_loop()
        machine.table.attach(loop)
        machine.concurrent = ConcurrentDeliveries(machine.deliveries, loop, machine.clock.now)
        with closing(machine.table):
            try:
                await scenario(machine)
            finally:
                await machine.stop()
                machine.table.detach()

    asyncio.run(asyncio.wait_for(attached(), 2 * TIMEOUT_SECONDS))


# The order of receivers, and the maximum number of calls


def test_receivers_take_turns() -> None:
    async def scenario(machine: Machine) -> None:
        for host in ("b", "c", "a"):
            machine.send(host, 10)
        await machine.until(lambda: len(machine.fake.finished) == 30)
        assert machine.fake.begun[:12] == ["a", "b", "c"] * 4

    run(scenario)


def test_next_turn_starts_after_the_receiver_that_was_called_last() -> None:
    async def scenario(machine: Machine) -> None:
        machine.send("b")
        await machine.until(lambda: machine.fake.finished == ["b"])
        for host in ("a", "b", "c"):
            machine.send(host)
        await machine.until(lambda: len(machine.fake.finished) == 4)
        assert machine.fake.begun == ["b", "c", "a", "b"]

    run(scenario)


def test_start_does_not_look_at_lines_that_wait_nor_at_other_receivers_of_a_busy_account() -> None:
    """A line is a business address and a phone. A line waits if its first copy is postponed.

    Waiting lines, and receivers of an account with the maximum number of calls, must not slow down other deliveries.
    The test counts the SQLite steps with few and with many such lines and receivers.
    """

    async def scenario(machine: Machine) -> None:
        def steps_of_start(count: int) -> int:
            busy = [QueuedMessage("AC2", f"AC2 https://{number}:443", "delivery") for number in range(count)]
            machine.queue.send(busy)
            for line in (line_key("AC1", f"+15017122661>{number}") for number in range(count)):
                machine.queue.send([QueuedMessage("AC1", line, body) for body in ("postponed", "waits behind")])
                message = machine.queue.receive(line)
                assert message
                machine.queue.change_visibility(message, 600)
            machine.next_receiver()  # This call hides the second copy of each line until the first is visible.
            machine.queue.send([QueuedMessage("AC3", "AC3 https://ready:443", "delivery")])
            machine.concurrent._last_receiver = ""
            return steps(machine.queue, machine.next_receiver)

        machine.fake.hanging = {f"hanging-{number}" for number in range(MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT)}
        for host in machine.fake.hanging:
            machine.send(host, account_sid="AC2")
        await machine.until(lambda: machine.fake.now_under_way["AC2"] == MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT)
        few = steps_of_start(MAX_STARTS_PER_TICK)
        assert steps_of_start(500) <= few + 5

    run(scenario)


def test_copies_behind_a_postponed_copy_become_visible_with_it_in_order() -> None:
    async def scenario(machine: Machine) -> None:
        queue, line = machine.queue, line_key("AC1", "+15017122661>+15558675310")
        queue.send([QueuedMessage("AC1", line, body) for body in ("1", "2", "3")])
        first = queue.receive(line)
        assert first
        queue.change_visibility(first, 60)
        assert machine.next_receiver() is None
        assert queue.receivers() == []
        assert queue.next_visible(machine.clock.now()) == machine.clock.now() + timedelta(seconds=60)
        queue.send([QueuedMessage("AC1", line, "4")])
        assert machine.next_receiver() is None
        machine.clock.move(timedelta(seconds=60))
        queue.make_due_visible()
        assert machine.next_receiver() == line
        received = [queue.receive(line, in_order=True) for _ in range(4)]
        assert [message and message.body for message in received] == ["1", "2", "3", "4"]

    run(scenario)


def test_copy_that_becomes_visible_during_a_tick_goes_before_later_copies_of_its_line() -> None:
    async def scenario(machine: Machine) -> None:
        queue, line = machine.queue, line_key("AC1", "+15017122661>+15558675310")
        queue.send([QueuedMessage("AC1", line, "1")])
        first = queue.receive(line)
        assert first
        queue.change_visibility(first, 60)
        queue.send([QueuedMessage("AC1", line, "2")])
        # The tick begins with `make_due_visible`. Then the first copy becomes visible. Then the tick starts deliveries.
        queue.make_due_visible()
        machine.clock.move(timedelta(seconds=60))
        started: list[str] = []
        machine.concurrent._start = lambda message: started.append(message.body)  # type: ignore[method-assign]
        machine.concurrent._start_deliveries()
        assert started == ["1"]

    run(scenario)


def test_copies_behind_a_copy_that_is_being_sent_are_not_held_back() -> None:
    async def scenario(machine: Machine) -> None:
        queue, line = machine.queue, line_key("AC1", "+15017122661>+15558675310")
        queue.send([QueuedMessage("AC1", line, body) for body in ("1", "2")])
        first = queue.receive(line)
        assert first
        machine.concurrent._count(first, 1)
        assert machine.next_receiver() is None
        queue.delete(first)
        machine.concurrent._count(first, -1)
        assert machine.next_receiver() == line

    run(scenario)


@pytest.mark.parametrize(
    ("accounts", "receivers", "key", "limit"),
    [
        (1, 1, "host-0-0", MAX_CONCURRENT_DELIVERIES_PER_RECEIVER),
        (1, 10, "AC0", MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT),
        (3, 10, "all", MAX_CONCURRENT_DELIVERIES),
    ],
)
def test_concurrent_calls_are_limited(accounts: int, receivers: int, key: str, limit: int) -> None:
    async def scenario(machine: Machine) -> None:
        hosts = [(f"host-{account}-{n}", f"AC{account}") for account in range(accounts) for n in range(receivers)]
        machine.fake.hanging = {host for host, _ in hosts}
        for host, account in hosts:
            machine.send(host, 20, account)
        await machine.until(lambda: machine.fake.now_under_way[key] == limit)
        await machine.stays(lambda: machine.fake.now_under_way[key] == limit)
        machine.fake.answer_all()
        await machine.until(lambda: len(machine.fake.finished) == 20 * len(hosts))
        assert machine.fake.most_under_way[key] == limit
        assert machine.queue.is_empty()

    run(scenario)


def test_two_accounts_at_one_host_have_separate_limits() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"shared"}
        machine.send("shared", 10, "AC1")
        machine.send("shared", 10, "AC2")
        await machine.until(
            lambda: (
                machine.fake.now_under_way["AC1"]
                == machine.fake.now_under_way["AC2"]
                == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
            )
        )

    run(scenario)


def test_hanging_host_behind_200_webhooks_does_not_delay_a_healthy_host_of_the_same_account() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"hanging"}
        machine.send("hanging", 200)
        await machine.until(lambda: machine.fake.now_under_way["hanging"] == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER)
        machine.send("healthy", 200)
        await machine.until(lambda: machine.fake.finished.count("healthy") == 200)
        assert machine.fake.called.count("hanging") == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER

    run(scenario)


def test_events_are_split_while_deliveries_hang() -> None:
    async def scenario(machine: Machine) -> None:
        hosts = [(f"host-{account}-{n}", f"AC{account}") for account in range(2) for n in range(4)]
        machine.fake.hanging = {host for host, _ in hosts}
        for host, account in hosts:
            machine.send(host, 20, account)
        await machine.until(lambda: machine.fake.now_under_way["all"] == MAX_CONCURRENT_DELIVERIES)
        machine.send_events(3 * EVENTS_PER_TICK)
        await machine.until(lambda: len(machine.fake.split_events) == 3 * EVENTS_PER_TICK)
        assert machine.fake.now_under_way["all"] == MAX_CONCURRENT_DELIVERIES

    run(scenario)


def test_deliveries_that_fail_before_their_call_do_not_hold_the_loop() -> None:
    def refuse(_: Delivery) -> None:
        raise DeliveryFailedError("no token")

    async def scenario(machine: Machine) -> None:
        machine.fake.on_begin = refuse
        machine.send("host", MAX_STARTS_PER_TICK + 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(machine.dead_letters.bodies()) <= MAX_STARTS_PER_TICK
        await machine.until(lambda: len(machine.dead_letters.bodies()) == MAX_STARTS_PER_TICK + 1)

    run(scenario)


# The circuit breaker


def test_circuit_breaker_opens_grows_tries_one_delivery_and_closes() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["broken"] = Outcome(500)
        machine.send("broken", 20)
        await machine.until(lambda: len(machine.fake.finished) >= 5 and machine.is_idle())
        opened = len(machine.fake.called)
        paused_until = machine.clock.now() + timedelta(seconds=1)
        assert machine.fake.paused_until == [None] * 4 + [paused_until] * (opened - 4)
        assert 5 <= opened < 5 + MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
        await machine.stays(lambda: len(machine.fake.called) == opened)
        for tries, pause in enumerate((1, 2, 4), start=1):
            machine.clock.move(timedelta(seconds=pause - 0.01))
            await machine.stays(lambda tries=tries: len(machine.fake.called) == opened + tries - 1)  # type: ignore[misc]
            machine.clock.move(timedelta(seconds=0.01))
            machine.concurrent.wake()
            await machine.until(lambda tries=tries: len(machine.fake.finished) == opened + tries)  # type: ignore[misc]
            await machine.stays(lambda tries=tries: len(machine.fake.called) == opened + tries)  # type: ignore[misc]
        machine.fake.outcomes.clear()
        machine.clock.move(timedelta(seconds=8))
        machine.concurrent.wake()
        await machine.until(machine.queue.is_empty)
        assert len(machine.fake.called) == opened + 3 + 20

    run(scenario)


def test_only_one_delivery_is_tried_while_the_breaker_is_half_open() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["broken"] = Outcome(None, "unreachable")
        machine.send("broken", 20)
        await machine.until(lambda: len(machine.fake.finished) >= 5 and machine.is_idle())
        machine.fake.hanging, before = {"broken"}, len(machine.fake.called)
        machine.clock.move(timedelta(seconds=1))
        await machine.stays(lambda: len(machine.fake.called) <= before + 1)
        assert machine.fake.now_under_way["broken"] == 1

    run(scenario)


def test_refusal_by_a_receiver_that_answers_does_not_open_the_breaker() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["strict"] = Outcome(404)
        machine.send("strict", 20)
        await machine.until(lambda: len(machine.dead_letters.bodies()) == 20)

    run(scenario)


def test_open_breaker_of_one_receiver_leaves_another_alone() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["broken"] = Outcome(503)
        machine.send("broken", 10)
        machine.send("healthy", 10)
        await machine.until(lambda: machine.fake.finished.count("healthy") == 10)

    run(scenario)


def test_number_of_circuit_breakers_is_limited_and_the_oldest_failure_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CIRCUIT_BREAKERS", 2)

    async def scenario(machine: Machine) -> None:
        def breakers() -> list[str]:
            return [receiver.removeprefix("AC1 https://") for receiver in machine.concurrent._breakers]

        def give_up(_: Delivery) -> None:
            raise DeliveryFailedError("no attempt is left")

        machine.fake.on_finish = give_up
        machine.fake.outcomes = dict.fromkeys(("a", "b", "c"), Outcome(500))
        for host, remembered in (("a", ["a"]), ("b", ["a", "b"]), ("a", ["b", "a"]), ("c", ["a", "c"])):
            called = len(machine.fake.called)
            machine.send(host)
            await machine.until(lambda: len(machine.fake.called) > called and machine.is_idle())  # noqa: B023
            assert [each.partition(":")[0] for each in breakers()] == remembered
        machine.fake.outcomes.clear()
        machine.send("a")
        await machine.until(lambda: breakers() == ["c:443"])

    run(scenario)


# Shutdown


def test_shutdown_cancels_calls_without_counting_an_attempt() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"hanging"}
        machine.send("hanging", 6)
        await machine.until(lambda: machine.fake.now_under_way["hanging"] == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER)
        assert machine.counts() == [1, 1, 1, 1, 0, 0]
        await machine.concurrent.stop(0.5, machine.fake.cut.set)
        await asyncio.sleep(0)
        assert machine.counts() == [0] * 6
        assert machine.fake.finished == []
        assert len(machine.fake.called) == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER, "no new call"
        assert machine.queue.receivers() == ["AC1 https://hanging:443"]

    run(scenario)


def test_shutdown_lets_calls_finish_within_the_grace_period() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"slow"}
        machine.send("slow", 2)
        await machine.until(lambda: machine.fake.now_under_way["slow"] == 2)
        threading.Timer(0.05, machine.fake.answer_all).start()
        cuts: list[int] = []
        await machine.concurrent.stop(TIMEOUT_SECONDS, lambda: cuts.append(1))
        assert machine.fake.finished == ["slow", "slow"]
        assert machine.queue.is_empty()
        assert cuts == []

    run(scenario)


def test_shutdown_does_not_wait_for_a_call_that_cannot_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CUT_SECONDS", 0.01)

    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"deaf"}
        machine.send("deaf")
        await machine.until(lambda: machine.fake.now_under_way["deaf"] == 1)
        async with asyncio.timeout(1):
            await machine.concurrent.stop(0.01, lambda: None)

    run(scenario)


def test_delivery_that_is_committed_after_the_shutdown_began_is_not_called() -> None:
    async def scenario(machine: Machine) -> None:
        stopping: list[asyncio.Task[None]] = []
        machine.send("host")
        machine.fake.on_begin = lambda _: setattr(machine.concurrent, "_stopping", True)
        await machine.until(lambda: machine.fake.begun)
        stopping.append(asyncio.create_task(machine.concurrent.stop(1, lambda: None)))
        await stopping[0]
        assert machine.fake.called == []
        assert machine.counts() == [0]

    run(scenario)


# The engine moves the test clock only while the deliveries are idle


def test_deliveries_are_idle_if_no_call_is_under_way_and_no_delivery_can_start_now() -> None:
    async def scenario(machine: Machine) -> None:
        concurrent, fake = machine.concurrent, machine.fake
        assert concurrent.is_idle()
        machine.send_events(1)
        assert not concurrent.is_idle(), "an event can be split"
        await machine.until(concurrent.is_idle)
        fake.hanging, fake.outcomes = {"broken"}, {"broken": Outcome(503)}
        machine.send("broken", MAX_CONCURRENT_DELIVERIES_PER_RECEIVER)
        assert not concurrent.is_idle(), "a delivery can start"
        await machine.until(lambda: fake.now_under_way["broken"] == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER)
        assert not concurrent.is_idle(), "calls are under way"
        fake.answer_all()
        await machine.until(concurrent.is_idle)
        assert machine.queue.has_visible(), "the circuit breaker pauses a visible delivery"
        end = concurrent.next_end_of_pause(machine.clock.now())
        assert end is not None
        machine.send("closed")
        assert concurrent.next_end_of_pause(machine.clock.now()) == end, "the other receiver has no pause"
        assert concurrent.next_end_of_pause(end) is None
        machine.clock.move(end - machine.clock.now())
        assert not concurrent.is_idle(), "the pause is over"

    run(scenario)


@pytest.mark.parametrize("stop", [ConcurrentDeliveries._back_off, ConcurrentDeliveries.begin_stop])
def test_deliveries_are_idle_during_a_pause_and_after_the_stop_although_a_delivery_waits(
    stop: Callable[[ConcurrentDeliveries], None],
) -> None:
    async def scenario(machine: Machine) -> None:
        machine.send("host")
        # The next line schedules a check of the queue. Before this check, `stop` pauses or stops the deliveries.
        machine.concurrent.wake()
        stop(machine.concurrent)
        await machine.stays(lambda: machine.concurrent.is_idle() and machine.queue.has_visible())
        assert machine.fake.begun == []

    run(scenario)


def test_deliveries_check_the_queue_once_although_they_are_woken_twice() -> None:
    async def scenario(machine: Machine) -> None:
        checks: list[None] = []
        machine.concurrent._schedule = lambda: checks.append(None)  # type: ignore[method-assign]
        for _ in range(2):
            machine.concurrent.wake()
        await asyncio.sleep(0)
        assert len(checks) == 1

    run(scenario)


# A clock that was set back


@pytest.mark.parametrize("back", [timedelta(seconds=20), timedelta(hours=2)])
def test_delivery_under_way_is_not_sent_again_after_the_clock_was_set_back(back: timedelta) -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"hanging"}
        machine.send("hanging", 2)
        await machine.until(lambda: machine.fake.now_under_way["hanging"] == 2)
        machine.clock.move(-back)
        await machine.stays(lambda: len(machine.fake.called) == 2)
        machine.queue.make_received_visible(machine.concurrent.under_way)
        await machine.stays(lambda: len(machine.fake.called) == 2)
        machine.clock.move(timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS))
        await machine.stays(lambda: len(machine.fake.called) == 2)
        machine.fake.answer_all()
        await machine.until(machine.queue.is_empty)
        assert machine.fake.numbers == [1, 1]

    run(scenario)


# Failures of Convoke itself


def test_failed_commit_repeats_the_delivery_without_counting_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OWN_FAILURE_RETRY_SECONDS", 0.1)

    async def scenario(machine: Machine) -> None:
        def full(_: Delivery) -> None:
            machine.table._connection.execute("PRAGMA query_only = 1")

        machine.fake.on_begin = full
        machine.send("host")
        await machine.until(lambda: machine.fake.begun == ["host"])
        await asyncio.sleep(0)
        machine.table._connection.execute("PRAGMA query_only = 0")
        await machine.stays(lambda: machine.fake.begun == ["host"])
        assert (machine.fake.called, machine.counts()) == ([], [0])
        machine.fake.on_begin = lambda _: None
        await machine.until(machine.queue.is_empty)
        assert machine.fake.numbers == [1, 1]

    run(scenario)


def test_delivery_whose_attempt_cannot_be_stored_is_repeated_with_the_same_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OWN_FAILURE_RETRY_SECONDS", 0.01)

    async def scenario(machine: Machine) -> None:
        def fail(_: Delivery) -> None:
            machine.fake.on_begin = lambda _: None
            machine.table.write("INSERT INTO messages (queue) VALUES ('no account')")

        machine.fake.on_begin = fail
        machine.send("host")
        await machine.until(machine.queue.is_empty)
        assert machine.fake.numbers == [1], "neither counted nor subtracted twice"

    run(scenario)


@pytest.mark.parametrize("where", ["begin", "finish"])
def test_bug_in_convoke_uses_up_no_attempt_and_no_slot(where: str) -> None:
    def fail(_: Delivery) -> None:
        raise KeyError

    async def scenario(machine: Machine) -> None:
        setattr(machine.fake, f"on_{where}", fail)
        machine.send("host", 10)
        await machine.until(lambda: len(machine.table.rows("SELECT 1 FROM messages WHERE receive_count = 0")) == 10)
        setattr(machine.fake, f"on_{where}", lambda _: None)
        machine.clock.move(timedelta(seconds=10))
        machine.concurrent.wake()
        await machine.until(machine.queue.is_empty)

    run(scenario)


def test_call_that_raises_is_repeated_without_counting_an_attempt() -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["host"] = None  # type: ignore[assignment]
        machine.send("host")
        await machine.until(lambda: machine.fake.called and machine.counts() == [0])
        machine.fake.outcomes.clear()
        machine.clock.move(timedelta(seconds=10))
        machine.concurrent.wake()
        await machine.until(machine.queue.is_empty)
        assert machine.fake.numbers == [1, 1]

    run(scenario)


def test_failure_to_store_an_outcome_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OWN_FAILURE_RETRY_SECONDS", 0.01)

    async def scenario(machine: Machine) -> None:
        def full(_: Delivery) -> None:
            machine.fake.on_finish = lambda _: None
            machine.table._connection.execute("PRAGMA query_only = 1")

        machine.fake.on_finish = full
        machine.fake.hanging = {"host"}
        machine.send("host")
        await machine.until(lambda: machine.fake.now_under_way["host"] == 1)
        machine.fake.answer_all()
        await machine.until(machine.is_idle)
        machine.table._connection.execute("PRAGMA query_only = 0")
        machine.clock.move(timedelta(seconds=60))
        await machine.until(machine.queue.is_empty)

    run(scenario)


def test_outcome_without_a_unit_frees_the_slot_and_the_delivery_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OWN_FAILURE_RETRY_SECONDS", 0.01)

    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"host"}
        machine.send("host")
        await machine.until(lambda: machine.fake.now_under_way["host"] == 1)
        machine.table._connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        machine.fake.answer_all()
        await machine.until(machine.is_idle)
        machine.table._connection.set_authorizer(None)
        assert machine.fake.finished == []
        machine.clock.move(timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS))
        await machine.until(machine.queue.is_empty)
        assert machine.fake.called == ["host", "host"]

    run(scenario)


def test_bug_while_an_outcome_is_stored_frees_the_slot_and_the_delivery_is_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(machine: Machine) -> None:
        machine.fake.outcomes["host"] = "not an outcome"  # type: ignore[assignment]
        machine.send("host")
        await machine.until(lambda: machine.fake.called and machine.is_idle())
        machine.fake.outcomes.clear()
        machine.clock.move(timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS))
        machine.concurrent.wake()
        await machine.until(machine.queue.is_empty)

    run(scenario)
    assert caplog.messages == ["the outcome of a webhook delivery is lost; the delivery will be repeated"]


def test_rollback_by_sqlite_while_an_outcome_is_stored_stores_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite rolls back the whole transaction after some I/O errors in a SELECT."""
    monkeypatch.setattr(module, "OWN_FAILURE_RETRY_SECONDS", 0.01)

    async def scenario(machine: Machine) -> None:
        def roll_back(_: Delivery) -> None:
            machine.fake.on_finish = lambda _: None
            machine.table.transact([Put({"pk": "outcome", "sk": "half"})])
            roll_back_during_select(machine.table)

        machine.fake.on_finish = roll_back
        machine.send("host")
        await machine.until(lambda: machine.fake.called and machine.is_idle())
        assert machine.table.get(Key("outcome", "half")) is None
        assert machine.counts() == [0], "the attempt does not count"
        machine.clock.move(timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS))
        await machine.until(machine.queue.is_empty)
        assert machine.fake.numbers == [1, 1]

    run(scenario)


def test_outcome_waits_for_the_write_lock_of_another_process(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")

    async def scenario(machine: Machine) -> None:
        machine.fake.hanging = {"host"}
        machine.send("host")
        await machine.until(lambda: machine.fake.now_under_way["host"] == 1)
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            machine.fake.answer_all()
            await asyncio.sleep(0.05)
            assert machine.fake.finished == []
            other.execute("COMMIT")
        await machine.until(machine.queue.is_empty)
        assert machine.fake.called == ["host"]

    run(scenario, path)


def test_deliveries_start_after_the_write_lock_of_another_process_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")

    async def scenario(machine: Machine) -> None:
        with machine.table.unit():
            machine.queue.send([QueuedMessage("AC1", "AC1 https://host:443", a_message("host"))])
        await asyncio.sleep(0)
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            machine.concurrent.wake()
            await asyncio.sleep(0.05)
            assert machine.fake.begun == []
            other.execute("COMMIT")
        await machine.until(machine.queue.is_empty)

    run(scenario, path)


def a_message(host: str) -> str:
    return a_delivery("AC1", f"https://{host}/").model_dump_json()


def test_message_that_cannot_be_read_becomes_a_dead_letter() -> None:
    async def scenario(machine: Machine) -> None:
        machine.queue.send([QueuedMessage("AC1", NO_RECEIVER, "unreadable")])
        machine.queue.send([QueuedMessage("AC1", "AC1 https://host:443", "{}")])
        machine.concurrent.wake()
        await machine.until(lambda: sorted(machine.dead_letters.bodies()) == ["unreadable", "{}"])

    run(scenario)


# Without an event loop


def test_without_a_loop_the_calling_thread_handles_every_visible_message() -> None:
    machine = Machine(":memory:")
    with closing(machine.table):
        machine.fake.outcomes["strict"] = Outcome(404)
        machine.send("host", 2)
        machine.send("strict")
        SqliteDeliveryQueue(machine.queue, lambda: None).send([an_event()])
        machine.deliveries.run()
        assert machine.fake.split_events == ["IM1-0"]
        assert sorted(machine.fake.called) == ["host", "host", "strict"]
        assert machine.queue.is_empty()
        assert len(machine.dead_letters.bodies()) == 1


def test_message_sent_by_another_thread_wakes_the_deliveries_on_the_loop() -> None:
    async def scenario(machine: Machine) -> None:
        threads: list[int] = []

        def wake() -> None:
            threads.append(threading.get_ident())
            machine.concurrent.wake()

        message = a_delivery("AC1", "https://host/")
        await asyncio.to_thread(SqliteDeliveryQueue(machine.queue, wake).send, [message])
        await machine.until(machine.queue.is_empty)
        assert threads == [threading.get_ident()]

    run(scenario)
