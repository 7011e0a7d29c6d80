"""Concurrent webhook deliveries of the embedded engine (embedded/deliveries.py)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from convoke.embedded.deliveries import (
    MAX_CONCURRENT_DELIVERIES,
    MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT,
    ConcurrentDeliveries,
)
from convoke.embedded.queue import ReceivedMessage
from tests.support.waiting import eventually


@dataclass
class FakeQueue:
    waiting: list[ReceivedMessage]
    failures: int = 0

    def receive(self, excluded_accounts: list[str]) -> ReceivedMessage | None:
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        for message in self.waiting:
            if message.account_sid not in excluded_accounts:
                self.waiting.remove(message)
                return message
        return None


@dataclass
class FakeDeliveries:
    queue: FakeQueue
    hanging_account: str = ""
    may_finish: threading.Event = field(default_factory=threading.Event)
    handled: list[str] = field(default_factory=list)

    def handle(self, message: ReceivedMessage) -> None:
        if message.account_sid == self.hanging_account:
            self.may_finish.wait(10)
        self.handled.append(message.account_sid)


def messages(account_sid: str, count: int) -> list[ReceivedMessage]:
    return [ReceivedMessage(number, account_sid, "{}", 1) for number in range(count)]


def test_account_with_hanging_receivers_leaves_capacity_to_other_accounts() -> None:
    deliveries = FakeDeliveries(FakeQueue([*messages("slow", 100), *messages("quick", 3)]), hanging_account="slow")
    concurrent = ConcurrentDeliveries(deliveries, lambda: None)  # type: ignore[arg-type]
    concurrent.run()
    assert eventually(lambda: deliveries.handled == ["quick"] * 3)
    assert len(deliveries.queue.waiting) == 100 - MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT
    deliveries.may_finish.set()
    while deliveries.queue.waiting:
        concurrent.run()
    concurrent.close()
    assert len(deliveries.handled) == 103


def test_failed_receives_use_no_capacity() -> None:
    deliveries = FakeDeliveries(FakeQueue(messages("one", 2), failures=2 * MAX_CONCURRENT_DELIVERIES))
    concurrent = ConcurrentDeliveries(deliveries, lambda: None)  # type: ignore[arg-type]
    failures = 0
    while not deliveries.handled:
        try:
            concurrent.run()
        except OSError:
            failures += 1
    concurrent.close()
    assert failures == 2 * MAX_CONCURRENT_DELIVERIES
    assert deliveries.handled == ["one", "one"]
