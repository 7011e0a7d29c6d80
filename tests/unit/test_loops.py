"""Repeated work of the embedded engine (embedded/loops.py)."""

from __future__ import annotations

import asyncio

from convoke.domain.errors import NotFoundError
from convoke.embedded.loops import Debounced, Loop
from tests.support.waiting import eventually


def test_a_loop_survives_what_it_does_and_wakes_when_it_is_told() -> None:
    turns: list[int] = []

    def work() -> None:
        turns.append(1)
        raise NotFoundError

    loop = Loop("test", work, interval=60)
    loop.start()
    for expected in (1, 2, 3):
        loop.wake()
        assert eventually(lambda expected=expected: len(turns) == expected)  # type: ignore[misc]
    loop.stop()


def test_what_is_woken_for_in_a_row_is_done_together_and_again_until_nothing_is_left() -> None:
    turns: list[int] = []
    waiting = 0

    def turn() -> bool:
        nonlocal waiting
        taken, waiting = min(waiting, 3), max(waiting - 3, 0)
        turns.append(taken)
        return taken > 0

    async def scenario() -> None:
        nonlocal waiting
        turned = Debounced(asyncio.get_running_loop(), turn)
        for _ in range(4):
            waiting += 1
            turned.wake()
        while turns[-1:] != [0]:
            await asyncio.sleep(0.001)
        waiting += 1
        await asyncio.to_thread(turned.wake)
        while turns[-2:] != [1, 0] or len(turns) < 5:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))
    assert turns == [3, 1, 0, 1, 0]


def test_who_wakes_it_again_and_again_does_not_keep_it_from_its_work() -> None:
    async def scenario() -> None:
        done = asyncio.Event()

        def turn() -> bool:
            done.set()
            return False

        turned = Debounced(asyncio.get_running_loop(), turn)
        while not done.is_set():
            turned.wake()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(scenario(), 5))


def test_a_turn_that_fails_is_not_the_last() -> None:
    turns: list[int] = []

    def turn() -> bool:
        turns.append(1)
        raise NotFoundError

    async def scenario() -> None:
        turned = Debounced(asyncio.get_running_loop(), turn)
        for expected in (1, 2):
            turned.wake()
            while len(turns) < expected:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))
