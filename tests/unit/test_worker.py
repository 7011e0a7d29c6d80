"""The threads of the embedded engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from convoke.domain.errors import NotFoundError
from convoke.local.queue import ReceivedMessage
from convoke.local.worker import DELIVERIES_AT_ONCE, DELIVERIES_OF_AN_ACCOUNT, ConcurrentDeliveries, Loop, Turned


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return holds()


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
        turned = Turned(asyncio.get_running_loop(), turn)
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

        turned = Turned(asyncio.get_running_loop(), turn)
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
        turned = Turned(asyncio.get_running_loop(), turn)
        for expected in (1, 2):
            turned.wake()
            while len(turns) < expected:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))


@dataclass
class FakeQueue:
    waiting: list[ReceivedMessage]
    failures: int = 0

    def receive(self, passed_over: list[str]) -> ReceivedMessage | None:
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        for message in self.waiting:
            if message.account_sid not in passed_over:
                self.waiting.remove(message)
                return message
        return None


@dataclass
class FakeDeliveries:
    queue: FakeQueue
    hanging: str = "nobody"
    go: threading.Event = field(default_factory=threading.Event)
    handled: list[str] = field(default_factory=list)

    def handle(self, message: ReceivedMessage) -> None:
        if message.account_sid == self.hanging:
            self.go.wait(10)
        self.handled.append(message.account_sid)


def messages(account_sid: str, count: int) -> list[ReceivedMessage]:
    return [ReceivedMessage(number, account_sid, "{}", 1) for number in range(count)]


def test_an_account_whose_receivers_hang_leaves_room_for_others() -> None:
    deliveries = FakeDeliveries(FakeQueue([*messages("slow", 100), *messages("quick", 3)]), hanging="slow")
    concurrent = ConcurrentDeliveries(deliveries, lambda: None)  # type: ignore[arg-type]
    concurrent.run()
    assert eventually(lambda: deliveries.handled == ["quick"] * 3)
    assert len(deliveries.queue.waiting) == 100 - DELIVERIES_OF_AN_ACCOUNT
    deliveries.go.set()
    while deliveries.queue.waiting:
        concurrent.run()
    concurrent.close()
    assert len(deliveries.handled) == 103


def test_failures_to_receive_use_no_place_up() -> None:
    deliveries = FakeDeliveries(FakeQueue(messages("one", 2), failures=2 * DELIVERIES_AT_ONCE))
    concurrent = ConcurrentDeliveries(deliveries, lambda: None)  # type: ignore[arg-type]
    failures = 0
    while not deliveries.handled:
        try:
            concurrent.run()
        except OSError:
            failures += 1
    concurrent.close()
    assert failures == 2 * DELIVERIES_AT_ONCE
    assert deliveries.handled == ["one", "one"]
