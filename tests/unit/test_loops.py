"""The embedded engine repeats background work in a thread or on the event loop (embedded/loops.py)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import uvloop

from convoke.domain.errors import NotFoundError
from convoke.embedded import loops
from convoke.embedded.loops import (
    DEBOUNCE_SECONDS,
    MAX_DEBOUNCE_SECONDS,
    PeriodicThread,
    StepScheduler,
)
from convoke.embedded.suspension import RUN_AGAIN_PAUSE_SECONDS, RunAgainError
from tests.support.waiting import eventually

# A thread with an interval


def test_periodic_thread_runs_when_woken_and_survives_errors() -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        raise NotFoundError

    thread = PeriodicThread("test", work, interval=60)
    thread.start()
    for expected in (1, 2, 3):
        thread.wake()
        assert eventually(lambda expected=expected: len(runs) == expected)  # type: ignore[misc]
    thread.stop()


def test_periodic_thread_runs_after_each_interval() -> None:
    runs: list[int] = []
    thread = PeriodicThread("test", lambda: runs.append(1), interval=0.01)
    thread.start()
    assert eventually(lambda: len(runs) >= 3)
    thread.stop()
    done = len(runs)
    time.sleep(0.05)
    assert len(runs) == done


def test_periodic_thread_finishes_its_work_before_it_stops() -> None:
    log: list[str] = []

    def work() -> None:
        log.append("begun")
        time.sleep(0.05)
        log.append("finished")

    thread = PeriodicThread("test", work, interval=60)
    thread.start()
    thread.wake()
    assert eventually(lambda: log == ["begun"])
    thread.stop()
    assert log == ["begun", "finished"]


def test_periodic_thread_that_was_never_started_can_be_stopped() -> None:
    PeriodicThread("test", lambda: None, interval=60).stop()


# Steps on an event loop


@dataclass
class FakeSteps:
    """A fake that replaces the background steps.

    Each run performs one waiting step, or raises the first error in `errors`. For each run, `ends` has the argument
    `until`, and `at` has the time of the run's start.
    """

    waiting: int = 0
    ends: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    on_run: Callable[[], None] = lambda: None
    seconds: float = 0.0
    """How long each run without an error takes."""

    @property
    def table(self) -> FakeSteps:
        return self

    def after_commit(self, function: Callable[[], None]) -> None:
        """Call `function` immediately, because the fake has nothing to commit."""
        function()

    @property
    def are_waiting(self) -> bool:
        return self.waiting > 0

    def run(self, until: float) -> None:
        self.ends.append(until)
        self.at.append(time.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        time.sleep(self.seconds)
        self.waiting = max(self.waiting - 1, 0)
        self.on_run()

    async def until_run(self, times: int) -> None:
        while len(self.ends) < times:
            await asyncio.sleep(0.0005)


def run(scenario: Callable[[StepScheduler, FakeSteps], Awaitable[None]]) -> None:
    async def attached() -> None:
        steps = FakeSteps()
        await scenario(StepScheduler(asyncio.get_running_loop(), steps), steps)  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(attached(), 5))


def test_wake_ups_of_a_moment_lead_to_one_run() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        for _ in range(4):
            scheduler.wake()
        await steps.until_run(1)
        await asyncio.sleep(2 * MAX_DEBOUNCE_SECONDS)
        assert len(steps.ends) == 1
        scheduler.wake()
        await steps.until_run(2)

    run(scenario)


def test_steps_start_a_moment_after_the_last_wake_up() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        scheduler.wake()
        await asyncio.sleep(0)
        last = time.monotonic()
        scheduler.wake()
        await steps.until_run(1)
        assert steps.at[0] - last >= DEBOUNCE_SECONDS - 0.001

    run(scenario)


def test_steps_run_although_they_are_woken_without_pause() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        while not steps.ends:
            scheduler.wake()
            await asyncio.sleep(0)

    run(scenario)


def test_steps_run_in_slices_until_nothing_is_waiting_and_requests_come_between() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        ticks, at_slice = 0, list[int]()
        steps.waiting, steps.on_run = 5, lambda: at_slice.append(ticks)
        scheduler.wake()
        while len(steps.ends) < 5:
            ticks += 1
            await asyncio.sleep(0)
        assert len(set(at_slice)) == 5, "other tasks run between two slices"
        await asyncio.sleep(2 * MAX_DEBOUNCE_SECONDS)
        assert len(steps.ends) == 5

    run(scenario)


@pytest.mark.parametrize("requests", [0, 1])
def test_requests_under_way_get_as_much_time_as_the_last_slice(requests: int) -> None:
    slice_seconds = 0.1

    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.waiting, steps.seconds = 2, slice_seconds
        for _ in range(requests):
            scheduler.request_arrived()
        scheduler.wake()
        await steps.until_run(2)
        pause = steps.at[1] - steps.at[0] - slice_seconds
        assert pause >= 0.9 * slice_seconds if requests else pause < 0.5 * slice_seconds

    run(scenario)


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_request_that_arrives_during_a_slice_begins_before_the_next_slice(
    new_event_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    client, server = socket.socketpair()
    log: list[str] = []

    async def request() -> None:
        log.append("request")

    class Server(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            self.task = asyncio.get_running_loop().create_task(request())

    async def scenario() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(Server, sock=server)
        steps = FakeSteps(waiting=2)

        def on_run() -> None:
            log.append("slice")
            if steps.waiting:
                client.send(b"GET /")

        steps.on_run = on_run
        StepScheduler(asyncio.get_running_loop(), steps).wake()  # type: ignore[arg-type]
        await steps.until_run(2)
        transport.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 5))
    client.close()
    assert log == ["slice", "request", "slice"]


def test_answered_request_gives_the_time_back_to_the_steps() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.waiting, steps.seconds = 2, 0.5
        scheduler.request_arrived()
        scheduler.wake()
        await steps.until_run(1)
        scheduler.request_answered()
        await steps.until_run(2)
        assert steps.at[1] - steps.at[0] < 0.9

    run(scenario)


def test_steps_that_must_run_again_do_so_after_a_pause() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.errors = [RunAgainError(), RunAgainError()]
        steps.waiting = 1
        scheduler.wake()
        await steps.until_run(3)
        assert steps.at[2] - steps.at[0] >= 2 * RUN_AGAIN_PAUSE_SECONDS - 0.002
        assert steps.waiting == 0

    run(scenario)


def test_failed_steps_run_again_after_a_longer_pause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loops, "FAILURE_RETRY_SECONDS", 0.3)

    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.errors = [NotFoundError()]
        scheduler.wake()
        await steps.until_run(1)
        scheduler.wake()
        await asyncio.sleep(MAX_DEBOUNCE_SECONDS)
        assert len(steps.ends) == 1, "wake-ups do not end the pause"
        await steps.until_run(2)

    run(scenario)
    assert "steps failed" in caplog.text


def test_wake_up_during_a_slice_does_not_lead_to_a_second_timer() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.waiting, steps.on_run = 2, scheduler.wake
        scheduler.wake()
        await steps.until_run(2)
        steps.on_run = lambda: None
        await steps.until_run(3)
        await asyncio.sleep(3 * MAX_DEBOUNCE_SECONDS)
        assert len(steps.ends) == 3

    run(scenario)


def test_stopped_scheduler_starts_no_slice() -> None:
    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.waiting = 9
        scheduler.wake()
        scheduler.stop()
        scheduler.wake()
        await asyncio.sleep(2 * MAX_DEBOUNCE_SECONDS)
        assert steps.ends == []

    run(scenario)


def test_pause_after_a_failed_commit_delays_the_next_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FAILURE_RETRY_SECONDS", 0.1)

    async def scenario(scheduler: StepScheduler, steps: FakeSteps) -> None:
        steps.waiting, steps.on_run = 2, scheduler.pause
        scheduler.wake()
        await steps.until_run(1)
        steps.on_run = lambda: None
        await steps.until_run(2)
        assert steps.at[1] - steps.at[0] >= 0.1 - 0.002
        scheduler.stop()
        scheduler.pause()
        await asyncio.sleep(0.15)
        assert len(steps.ends) == 2

    run(scenario)
