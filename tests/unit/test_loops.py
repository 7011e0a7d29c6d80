"""Repeated work of the embedded engine (embedded/loops.py)."""

from __future__ import annotations

import asyncio

from convoke.domain.errors import NotFoundError
from convoke.embedded.loops import Debouncer, PeriodicThread
from tests.support.waiting import eventually


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


def test_debouncer_combines_wake_ups_and_runs_batches_until_no_work_is_left() -> None:
    batches: list[int] = []
    waiting = 0

    def run_batch() -> bool:
        nonlocal waiting
        taken, waiting = min(waiting, 3), max(waiting - 3, 0)
        batches.append(taken)
        return taken > 0

    async def scenario() -> None:
        nonlocal waiting
        debouncer = Debouncer(asyncio.get_running_loop(), run_batch)
        for _ in range(4):
            waiting += 1
            debouncer.wake()
        while batches[-1:] != [0]:
            await asyncio.sleep(0.001)
        waiting += 1
        await asyncio.to_thread(debouncer.wake)
        while batches[-2:] != [1, 0] or len(batches) < 5:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))
    assert batches == [3, 1, 0, 1, 0]


def test_debouncer_runs_although_it_is_woken_without_pause() -> None:
    async def scenario() -> None:
        done = asyncio.Event()

        def run_batch() -> bool:
            done.set()
            return False

        debouncer = Debouncer(asyncio.get_running_loop(), run_batch)
        while not done.is_set():
            debouncer.wake()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(scenario(), 5))


def test_debouncer_runs_again_after_a_failed_batch() -> None:
    batches: list[int] = []

    def run_batch() -> bool:
        batches.append(1)
        raise NotFoundError

    async def scenario() -> None:
        debouncer = Debouncer(asyncio.get_running_loop(), run_batch)
        for expected in (1, 2):
            debouncer.wake()
            while len(batches) < expected:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))
