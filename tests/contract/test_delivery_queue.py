"""The delivery queue in the data file behaves like SQS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convoke.embedded.queue import SCHEMA, DurableQueue, ReceivedMessage
from convoke.embedded.sqlite import SqliteTable


@pytest.fixture
def queue() -> Iterator[DurableQueue]:
    table = SqliteTable(":memory:", schema=SCHEMA)
    yield DurableQueue(table, "delivery")
    table.close()


def send(queue: DurableQueue, *bodies: str) -> None:
    queue.send([("AC1", body) for body in bodies])


def received(queue: DurableQueue) -> ReceivedMessage:
    message = queue.receive()
    assert message is not None
    return message


def bodies(queue: DurableQueue) -> list[str]:
    found = []
    while message := queue.receive():
        found.append(message.body)
    return found


def test_messages_are_received_in_order_and_then_invisible(queue: DurableQueue) -> None:
    send(queue, "a", "b", "c")
    assert bodies(queue) == ["a", "b", "c"]
    assert bodies(queue) == []


def test_message_stays_until_removed_and_counts_receives(queue: DurableQueue) -> None:
    send(queue, "a")
    first = received(queue)
    queue.change_visibility(first, 0)
    again = received(queue)
    assert (first.receive_count, again.receive_count) == (1, 2)
    queue.delete(again)
    queue.make_received_visible()
    assert bodies(queue) == []


def test_message_given_back_does_not_count_the_receive(queue: DurableQueue) -> None:
    send(queue, "a")
    queue.return_uncounted(received(queue), 0)
    assert received(queue).receive_count == 1


def test_postponed_message_is_not_received(queue: DurableQueue) -> None:
    send(queue, "a", "b")
    queue.change_visibility(received(queue), 60)
    queue.return_uncounted(received(queue), 60)
    assert bodies(queue) == []


def test_messages_of_passed_over_accounts_are_skipped(queue: DurableQueue) -> None:
    queue.send([("AC1", "a"), ("AC2", "b"), ("AC1", "c")])
    message = queue.receive(excluded_accounts=["AC1"])
    assert message is not None
    assert (message.account_sid, message.body) == ("AC2", "b")
    assert queue.receive(excluded_accounts=["AC1"]) is None
    assert bodies(queue) == ["a", "c"]


def test_messages_received_by_dead_process_are_received_again(queue: DurableQueue) -> None:
    send(queue, "a")
    received(queue)
    queue.make_received_visible()
    assert bodies(queue) == ["a"]


def test_buried_message_is_in_dead_letter_queue_only(queue: DurableQueue) -> None:
    send(queue, "a")
    queue.dead_letter(received(queue))
    queue.make_received_visible()
    assert bodies(queue) == []
    dead = DurableQueue(queue.table, "delivery-dlq")
    dead.make_received_visible()
    assert bodies(dead) == ["a"]
