"""The data file's delivery queue behaves like SQS (embedded/queue.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from convoke.domain.circuit_breakers import line_key
from convoke.embedded.queue import (
    MAX_PAUSE_SECONDS,
    NO_RECEIVER,
    PAGE_SIZE,
    VISIBILITY_TIMEOUT_SECONDS,
    DeadLetterQueue,
    DurableQueue,
    QueuedMessage,
    ReceivedMessage,
)
from convoke.embedded.sqlite import SqliteTable
from tests.support.manual_clock import ManualClock
from tests.support.sqlite_steps import steps

ONE, OTHER = "AC1 https://one.example:443", "AC1 https://other.example:443"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> Iterator[DurableQueue]:
    table = SqliteTable(":memory:")
    yield DurableQueue(table, "delivery", clock.now)
    table.close()


@pytest.fixture
def dead_letters(queue: DurableQueue, clock: ManualClock) -> DeadLetterQueue:
    return DeadLetterQueue(queue.table, "delivery", clock.now)


def send(queue: DurableQueue, *bodies: str, receiver: str = ONE) -> None:
    queue.send([QueuedMessage("AC1", receiver, body) for body in bodies])


def received(queue: DurableQueue, receiver: str = ONE) -> ReceivedMessage:
    message = queue.receive(receiver)
    assert message is not None
    return message


def bodies(queue: DurableQueue, receiver: str = ONE) -> list[str]:
    found = []
    while message := queue.receive(receiver):
        found.append(message.body)
    return found


def test_messages_are_received_in_order_and_then_invisible(queue: DurableQueue) -> None:
    send(queue, "a", "b", "c")
    assert bodies(queue) == ["a", "b", "c"]
    assert bodies(queue) == []
    assert not queue.has_visible()
    assert not queue.is_empty()


def test_message_stays_until_removed_and_counts_receives(queue: DurableQueue) -> None:
    send(queue, "a")
    first = received(queue)
    queue.change_visibility(first, 0)
    again = received(queue)
    assert (first.receive_count, again.receive_count) == (1, 2)
    queue.delete(again)
    queue.make_received_visible()
    assert bodies(queue) == []
    assert queue.is_empty()


def test_message_given_back_does_not_count_the_receive(queue: DurableQueue) -> None:
    send(queue, "a")
    message = received(queue)
    queue.return_uncounted(message, 0)
    assert received(queue).receive_count == 1
    queue.return_uncounted(message, 0)
    queue.return_uncounted(message, 0)
    assert received(queue).receive_count == 1, "a message that is given back twice loses one receive only"


def test_postponed_message_is_received_at_its_time_by_the_given_clock(queue: DurableQueue, clock: ManualClock) -> None:
    send(queue, "a", "b")
    queue.change_visibility(received(queue), 60)
    queue.return_uncounted(received(queue), 80)
    assert bodies(queue) == []
    assert queue.next_visible(clock.now()) == clock.now() + timedelta(seconds=60)
    clock.move(timedelta(seconds=60))
    assert bodies(queue) == ["a"]
    clock.move(timedelta(seconds=19.9))
    assert bodies(queue) == []
    clock.move(timedelta(seconds=0.1))
    assert queue.receivers() == [ONE]
    assert received(queue).body == "b"


@pytest.mark.parametrize("nanoseconds", range(0, 2_000, 100))
def test_message_is_visible_at_the_next_visible_time_whatever_its_fraction_of_a_microsecond(
    queue: DurableQueue, clock: ManualClock, nanoseconds: int
) -> None:
    """A test clock moves to the time that `next_visible` returns.

    If the message were invisible at that time, `next_visible` would return the same time once more. Then the clock
    would never advance.
    """
    send(queue, "a")
    queue.change_visibility(received(queue), 60 + nanoseconds / 1e9)
    visible = queue.next_visible(clock.now())
    assert visible
    assert queue.next_visible(visible) is None
    clock.move(visible - clock.now())
    assert bodies(queue) == ["a"]


def test_received_message_becomes_visible_after_the_visibility_timeout(queue: DurableQueue, clock: ManualClock) -> None:
    send(queue, "a")
    received(queue)
    clock.move(timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS - 0.001))
    assert queue.receive(ONE) is None
    clock.move(timedelta(seconds=0.001))
    assert received(queue).receive_count == 2


def test_each_receiver_has_its_own_order(queue: DurableQueue) -> None:
    send(queue, "a", "c")
    send(queue, "b", receiver=OTHER)
    send(queue, "event", receiver=NO_RECEIVER)
    assert queue.receivers() == [ONE, OTHER]
    message = received(queue, OTHER)
    assert (message.account_sid, message.receiver, message.body) == ("AC1", OTHER, "b")
    assert queue.receivers() == [ONE]
    assert bodies(queue) == ["a", "c"]
    assert queue.receivers() == []
    assert queue.has_visible(), "the event"
    assert bodies(queue, NO_RECEIVER) == ["event"]
    assert not queue.has_visible()


def test_retry_does_not_go_before_messages_that_have_been_visible_for_longer(
    queue: DurableQueue, clock: ManualClock
) -> None:
    """Retries of failed deliveries must not delay newer deliveries.

    The messages of a line, however, keep the order in which they were sent. Therefore a retry on a line comes before
    newer messages of the line.
    """
    line = line_key("AC1", "+15017122661>+15558675310")
    for receiver in (ONE, line):
        send(queue, "failed", "newer", receiver=receiver)
        queue.change_visibility(received(queue, receiver), 5)
    clock.move(timedelta(seconds=5))
    assert [received(queue).body, received(queue).body] == ["newer", "failed"]
    in_order = [queue.receive(line, in_order=True) for _ in range(2)]
    assert [message and message.body for message in in_order] == ["failed", "newer"]


def test_queues_of_different_names_do_not_meet(queue: DurableQueue, clock: ManualClock) -> None:
    other = DurableQueue(queue.table, "another", clock.now)
    send(other, "a")
    assert (queue.receivers(), queue.has_visible(), queue.is_empty()) == ([], False, True)
    assert queue.next_visible(datetime.fromtimestamp(0, UTC)) is None


def test_messages_received_by_dead_process_are_received_again(queue: DurableQueue) -> None:
    send(queue, "a")
    received(queue)
    queue.make_received_visible()
    assert bodies(queue) == ["a"]


def test_message_that_is_postponed_too_far_by_a_clock_change_is_visible(
    queue: DurableQueue, clock: ManualClock
) -> None:
    send(queue, "a")
    queue.change_visibility(received(queue), 0)
    clock.move(timedelta(seconds=-MAX_PAUSE_SECONDS))
    assert (queue.receivers(), queue.receive(ONE)) == ([], None)
    clock.move(timedelta(seconds=-1))
    assert queue.receivers() == [ONE]
    assert queue.has_visible()
    assert received(queue).body == "a"


def postpone(queue: DurableQueue, count: int, seconds: float = 600) -> list[int]:
    send(queue, *["a"] * count)
    messages = [received(queue) for _ in range(count)]
    for message in messages:
        queue.change_visibility(message, seconds)
    return [message.id for message in messages]


def postpone_for_many_receivers(queue: DurableQueue, count: int) -> None:
    for number in range(count):
        receiver = line_key("AC1", f"+15017122661>{number}") if number % 2 else f"AC1 https://{number}.example:443"
        send(queue, "postponed", receiver=receiver)
        queue.change_visibility(received(queue, receiver), 600)


@pytest.mark.parametrize(
    "call",
    [
        DurableQueue.receivers,
        DurableQueue.has_visible,
        DurableQueue.make_due_visible,
        lambda queue: queue.next_receivers(NO_RECEIVER, 2),
        lambda queue: queue.has_visible_to(ONE),
        lambda queue: queue.is_first_visible(line_key("AC1", "+15017122661>1")),
        lambda queue: queue.next_visible(queue.now()),
        lambda queue: queue.delete(received(queue, OTHER)),
        lambda queue: queue.receive(line_key("AC1", "+15017122661>1"), in_order=True),
    ],
)
def test_no_call_reads_every_message_or_every_postponed_receiver(
    queue: DurableQueue, call: Callable[[DurableQueue], object]
) -> None:
    def steps_with(messages: int) -> int:
        send(queue, *["visible"] * messages)
        send(queue, *["visible"] * messages, receiver=line_key("AC1", "+15017122661>1"))
        postpone_for_many_receivers(queue, messages)
        send(queue, "for the test", receiver=OTHER)
        return steps(queue, partial(call, queue))

    few = steps_with(5)
    assert steps_with(500) <= few + 20


def test_next_visible_does_not_read_every_message(queue: DurableQueue, clock: ManualClock) -> None:
    now, excluded = clock.now(), postpone(queue, 3, 30)

    def next_visible() -> None:
        assert queue.next_visible(now, excluded) == now + timedelta(seconds=600)

    postpone(queue, 5)
    few = steps(queue, next_visible)
    postpone(queue, 500)
    assert steps(queue, next_visible) <= few + 5


def test_next_visible_is_the_earliest_of_all_receivers_and_events(queue: DurableQueue, clock: ManualClock) -> None:
    for receiver, seconds in ((ONE, 50), (OTHER, 40), (NO_RECEIVER, 30)):
        send(queue, "a", receiver=receiver)
        queue.change_visibility(received(queue, receiver), seconds)
    start = clock.now()
    for seconds in (30, 40, 50):
        assert queue.next_visible(clock.now()) == start + timedelta(seconds=seconds)
        clock.move(start + timedelta(seconds=seconds) - clock.now())
    assert queue.next_visible(clock.now()) is None


def test_messages_that_are_excluded_do_not_become_visible(queue: DurableQueue) -> None:
    kept = postpone(queue, 2)
    send(queue, "b")
    queue.change_visibility(received(queue), 600)
    queue.make_received_visible(kept)
    assert bodies(queue) == ["b"]
    queue.make_received_visible()
    assert bodies(queue) == ["a", "a", "b"]


def test_dead_letter_is_in_dead_letter_queue_only(queue: DurableQueue, dead_letters: DeadLetterQueue) -> None:
    send(queue, "a")
    message = received(queue)
    queue.dead_letter(message, message.body)
    queue.make_received_visible()
    assert bodies(queue) == []
    assert queue.is_empty()
    assert dead_letters.bodies() == ["a"]


def test_redrive_sends_all_dead_letters_in_pages_as_if_never_received(
    queue: DurableQueue, dead_letters: DeadLetterQueue
) -> None:
    count = PAGE_SIZE + 1
    send(queue, *map(str, range(count)))
    for _ in range(count):
        message = received(queue)
        queue.dead_letter(message, message.body)
    statements: list[str] = []
    queue.table._connection.set_trace_callback(statements.append)
    assert dead_letters.redrive(lambda body: f"again {body}") == count
    assert statements.count("COMMIT") == 2
    assert dead_letters.bodies() == []
    message = received(queue)
    assert (message.body, message.receiver, message.receive_count) == ("again 0", ONE, 1)
    assert len(bodies(queue)) == count - 1
    assert dead_letters.redrive(lambda body: body) == 0


def test_dead_letters_are_consumed_in_pages(queue: DurableQueue, dead_letters: DeadLetterQueue) -> None:
    count = PAGE_SIZE + 2
    for number in range(count):
        dead_letters.add("AC1", str(number))
    statements: list[str] = []
    queue.table._connection.set_trace_callback(statements.append)
    assert dead_letters.consume(lambda body: body != "1") == count - 1
    assert statements.count("COMMIT") == 2
    assert dead_letters.bodies() == ["1"]


def test_message_is_visible_at_its_next_visible_time(queue: DurableQueue, clock: ManualClock) -> None:
    send(queue, *map(str, range(20)))
    for number in range(20):
        # None of these pauses ends at a whole microsecond.
        queue.change_visibility(received(queue), 1 + number + 1 / 3)
    for _ in range(20):
        moment = queue.next_visible(clock.now())
        assert moment is not None
        clock.present = moment
        assert received(queue)
