"""The queue in the data file behaves as SQS does where deliveries rest on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convoke.local.queue import SCHEMA, DurableQueue
from convoke.storage.sqlite import SqliteTable


@pytest.fixture
def queue() -> Iterator[DurableQueue]:
    table = SqliteTable(":memory:", schema=SCHEMA)
    yield DurableQueue(table, "delivery")
    table.close()


def bodies(queue: DurableQueue, limit: int = 10) -> list[str]:
    return [message.body for message in queue.receive(limit)]


def test_messages_come_in_the_order_they_were_sent_and_are_invisible_then(queue: DurableQueue) -> None:
    queue.send(["a", "b", "c"])
    assert bodies(queue, 2) == ["a", "b"]
    assert bodies(queue) == ["c"]
    assert bodies(queue) == []


def test_a_message_is_there_until_it_is_removed_and_counts_how_often_it_came(queue: DurableQueue) -> None:
    queue.send(["a"])
    (first,) = queue.receive(1)
    queue.postpone(first, 0)
    (again,) = queue.receive(1)
    assert (first.receive_count, again.receive_count) == (1, 2)
    queue.remove(again)
    queue.release()
    assert bodies(queue) == []


def test_a_message_that_was_put_off_stays_away(queue: DurableQueue) -> None:
    queue.send(["a"])
    queue.postpone(queue.receive(1)[0], 60)
    assert bodies(queue) == []


def test_what_a_dead_process_had_received_comes_again(queue: DurableQueue) -> None:
    queue.send(["a"])
    queue.receive(1)
    queue.release()
    assert bodies(queue) == ["a"]


def test_a_buried_message_is_in_the_dead_letter_queue_only(queue: DurableQueue) -> None:
    queue.send(["a"])
    queue.bury(queue.receive(1)[0])
    queue.release()
    assert bodies(queue) == []
    dead = DurableQueue(queue.table, "delivery-dlq")
    dead.release()
    assert bodies(dead) == ["a"]
