"""The limit of a sender spreads its message copies over several seconds, on both engines. See docs/phones.md#limits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import cast

import pytest

from convoke.domain.senders import Provider, Sender
from convoke.storage import keys
from convoke.storage.sending_limits import LIFETIME, MAX_PAUSE, SendingLimits
from convoke.storage.table import EXPIRES_AT, Item, Set, Table, Update
from tests.support.tables import memory_table, moto_table

NOW = datetime(2026, 11, 28, 12, 0, 0, 250_000, tzinfo=UTC)

Engine = Callable[[], AbstractContextManager[Table]]

ENGINES: dict[str, Engine] = {"sqlite": memory_table, "dynamodb-on-moto": moto_table}


def sender(limit: int | None, digit: str = "0") -> Sender:
    return Sender(
        account_sid="AC" + "0" * 32,
        sid="XE" + digit * 32,
        address="+15017122661",
        provider=Provider.SIMULATED,
        max_messages_per_second=limit,
        date_created=NOW,
        date_updated=NOW,
    )


class CountingTable:
    """Counts the updates."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.updates = 0

    def update(self, update: Update) -> Item:
        self.updates += 1
        return self._table.update(update)


@pytest.fixture(params=ENGINES)
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def limits(table: Table) -> SendingLimits:
    return SendingLimits(table)


def simulate(
    limits: SendingLimits, arrivals: list[float], limit: int, rounded: Callable[[float], float]
) -> tuple[Counter[int], Counter[int]]:
    """Simulate copies of a sender with the limit `limit`, until all copies are sent.

    Each copy asks `limits` at its arrival, and once more after each pause. `arrivals` are in seconds after NOW.
    `rounded` rounds a pause as a queue does.

    Return how many copies were sent in each second, and how often each copy asked.
    """
    waiting = [(seconds, number) for number, seconds in enumerate(arrivals)]
    heapify(waiting)
    sent, asked = Counter[int](), Counter[int]()
    while waiting:
        seconds, number = heappop(waiting)
        asked[number] += 1
        moment = NOW + timedelta(seconds=seconds)
        if pause := limits.pause_before(sender(limit), moment):
            heappush(waiting, (seconds + rounded(pause), number))
        else:
            sent[int(moment.timestamp()) - int(NOW.timestamp())] += 1
    return sent, asked


@pytest.mark.parametrize("rounded", [float, math.ceil], ids=["exact pauses", "whole seconds, as in SQS"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_copies_that_come_together_are_sent_at_the_limit(
    limits: SendingLimits, limit: int, rounded: Callable[[float], float]
) -> None:
    sent, asked = simulate(limits, [0.0] * 30, limit, rounded)
    assert max(sent.values()) == limit
    assert max(sent) <= 30 // limit + 2
    # Most copies ask at most twice. A copy asks more often if its rounded pause ends in a second that is full.
    assert asked.total() <= 2 * 30 + 5


def test_copies_that_keep_coming_never_exceed_the_limit(limits: SendingLimits) -> None:
    sent, asked = simulate(limits, [number / 8 for number in range(80)], 4, math.ceil)
    assert max(sent.values()) == 4
    assert max(sent) <= 80 // 4 + 3
    assert asked.total() <= 4 * 80


def test_limit_of_a_sender_does_not_delay_another_sender(limits: SendingLimits) -> None:
    assert [limits.pause_before(sender(1), NOW) for _ in range(3)] == [0.0, 0.75, 1.75]
    assert limits.pause_before(sender(1, "1"), NOW) == 0.0


def test_sender_without_a_limit_writes_nothing(limits: SendingLimits) -> None:
    assert limits.pause_before(sender(None), NOW) == 0.0
    second = keys.sending_second(sender(None).account_sid, sender(None).sid, int(NOW.timestamp()))
    assert limits.table.get(second) is None


def test_items_expire(limits: SendingLimits) -> None:
    for _ in range(3):
        limits.pause_before(sender(1), NOW)
    second = keys.sending_second(sender(1).account_sid, sender(1).sid, int(NOW.timestamp()))
    stored = limits.table.get_many([second, keys.sending_turns(sender(1).account_sid, sender(1).sid)])
    assert [item[EXPIRES_AT] for item in stored.values()] == [int((NOW + LIFETIME).timestamp())] * 2


def test_counters_of_seconds_and_turns_are_in_different_partitions() -> None:
    """One partition of DynamoDB accepts at most 1,000 write units per second."""
    account_sid, sid = sender(1).account_sid, sender(1).sid
    found = [keys.sending_second(account_sid, sid, second) for second in (1, 2)]
    assert len({key.pk for key in (*found, keys.sending_turns(account_sid, sid))}) == 3


def test_pause_is_bounded_and_a_copy_reserves_no_turn_after_the_longest_pause(limits: SendingLimits) -> None:
    seconds = int(MAX_PAUSE.total_seconds())
    pauses = [limits.pause_before(sender(1), NOW) for _ in range(seconds + 100)]
    assert max(pauses) == seconds
    # A turn is the time at which a waiting copy comes back. Convoke reserves no turn later than NOW + MAX_PAUSE. After
    # that time, a new copy therefore does not wait for the turns of earlier copies.
    assert limits.pause_before(sender(1), NOW + MAX_PAUSE) == 0.0
    assert limits.pause_before(sender(1), NOW + MAX_PAUSE) == 0.75


def test_clock_that_is_set_back_does_not_stop_the_sender(limits: SendingLimits) -> None:
    """The stored turns are in the future. Copies that exceed the limit must not wait for the time of these turns."""
    for _ in range(3):
        limits.pause_before(sender(1), NOW + timedelta(days=1))
    assert [limits.pause_before(sender(1), NOW) for _ in range(3)] == [0.0, 0.75, 1.75]


def test_clock_of_another_process_that_is_ahead_does_not_give_turns_twice(limits: SendingLimits) -> None:
    seconds = int(MAX_PAUSE.total_seconds())
    for _ in range(seconds + 1):
        limits.pause_before(sender(1), NOW + timedelta(seconds=30))
    assert limits.pause_before(sender(1), NOW) == 0.0
    assert limits.pause_before(sender(1), NOW) == seconds


def test_turn_is_never_in_the_past(limits: SendingLimits) -> None:
    """A pause that is not positive would mean that the copy can be sent."""
    for _ in range(2):
        limits.pause_before(sender(1), NOW)

    class Interrupted(CountingTable):
        def update(self, update: Update) -> Item:
            if self.updates == 2:
                turns = keys.sending_turns(sender(1).account_sid, sender(1).sid)
                self._table.update(Update(turns, (Set("next", 1_000_000),)))
            return super().update(update)

    interrupted = cast("Table", Interrupted(limits.table))
    assert SendingLimits(interrupted).pause_before(sender(1), NOW) == 0.75


def test_copy_that_gets_no_turn_tries_no_second_update_of_the_turns(limits: SendingLimits) -> None:
    """Otherwise many waiting copies would use up DynamoDB's maximum write rate for the item with the turns."""
    for _ in range(int(MAX_PAUSE.total_seconds()) + 2):
        limits.pause_before(sender(1), NOW)
    counting = CountingTable(limits.table)
    assert SendingLimits(cast("Table", counting)).pause_before(sender(1), NOW) == MAX_PAUSE.total_seconds()
    assert counting.updates == 2, "one for the count of the second, one for the question whether a turn is free"
