"""The sweeper takes one resource from each index shard in turn.

Other processes can change a conversation at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.domain.conversations import Conversation
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.sweeper import Sweeper, Turns
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.conversations import ConversationRepository
from convoke.storage.due import DueRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Item, Key, Put, Write
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.sweepers import with_due_conversations
from tests.support.tables import memory_table

Meanwhile = Callable[[], object]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Admissions:
    """An admission rule that accepts every participant. `asked` lists the checked participants."""

    asked: list[Participant] = field(default_factory=list)

    def __call__(self, _: Provisioning, participant: Participant) -> None:
        self.asked.append(participant)


@lean_dataclass
class Overtaken(ProvisioningRepository):
    """A repository that calls `meanwhile` after each read of a conversation.

    `meanwhile` writes to the table, as another process could.
    """

    meanwhile: Callable[[Conversation], object]

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        found = ProvisioningRepository.fetch(self, account_sid, conversation_sid)
        assert found is not None
        self.meanwhile(found[0])
        return found


@dataclass(frozen=True)
class Interrupted:
    """A table that removes and calls the last function in `meanwhile` before each transaction.

    Each function writes to the table, as another process could.
    """

    table: Any
    meanwhile: list[Meanwhile] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def transact(self, writes: Sequence[Write]) -> None:
        if self.meanwhile:
            self.meanwhile.pop()()
        self.table.transact(writes)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def admissions() -> Admissions:
    return Admissions()


@pytest.fixture
def instance(clock: ManualClock, admissions: Admissions) -> Iterator[EmbeddedInstance]:
    with held_instance(now=clock.now, admit=admissions) as made:
        yield made


def create(instance: EmbeddedInstance, **parameters: Any) -> Any:
    return instance.client().conversations.v1.conversations.create(**parameters)


def test_conversation_that_another_sweeper_has_claimed_gets_no_second_attempt(
    instance: EmbeddedInstance, clock: ManualClock, admissions: Admissions
) -> None:
    instance.client().conversations.v1.conversation_with_participants.create(participant=chat(2))
    instance.lose_messages()
    clock.move(HOUR)
    claimed = sweep_after_a_claim(instance, clock)
    assert instance.items("") == claimed
    assert admissions.asked == []
    assert [each["attempts"] for each in instance.items("conversation")] == [1]


def test_deleted_conversation_that_another_sweeper_has_claimed_is_left_to_that_one(
    instance: EmbeddedInstance, clock: ManualClock
) -> None:
    create(instance).delete()
    assert instance.items("") != []
    claimed = sweep_after_a_claim(instance, clock)
    assert instance.items("") == claimed
    assert len(instance.items("conversation")) == 1


def sweep_after_a_claim(instance: EmbeddedInstance, clock: ManualClock) -> list[dict[str, Any]]:
    """Run a sweep in which another process claims the conversation after the sweeper's read.

    Return all items of the table directly after the claim.
    """
    items: list[list[dict[str, Any]]] = []

    def claim(conversation: Conversation) -> None:
        assert ConversationRepository(instance.table).claim(conversation, clock.present + HOUR)
        items.append(instance.items(""))

    sweeper = with_due_conversations(instance.engine.sweeper, provisionings=Overtaken(instance.table, claim))
    assert sweeper.sweep() == 1
    (left,) = items
    return left


def test_claim_is_won_once(instance: EmbeddedInstance, clock: ManualClock) -> None:
    create(instance).delete()
    found = ProvisioningRepository(instance.table).fetch(
        instance.account.sid, str(instance.items("conversation")[0]["sid"])
    )
    assert found is not None
    conversations = ConversationRepository(instance.table)
    assert conversations.claim(found[0], clock.present + MINUTE)
    assert not conversations.claim(found[0], clock.present + HOUR)


def test_timer_shortened_during_a_postponement_fires_in_time(clock: ManualClock) -> None:
    """A client shortens a timer. Between the client's read and write, the sweeper postpones the due time.

    The due time that the client has read is early enough for the shorter timer, so the client's request would not set
    a new due time. But the postponed due time is too late. Therefore the request must read the conversation again.
    """
    tables: list[Interrupted] = []

    def rewire(edges: Any) -> Any:
        tables.append(Interrupted(edges.table))
        return replace(edges, table=tables[0])

    with held_instance(rewire=rewire, now=clock.now) as instance:
        conversation = create(instance, timers_inactive="PT1H")
        clock.move(HOUR / 2)
        conversation.messages.create(body="Hello")
        clock.move(HOUR / 2)
        tables[0].meanwhile.append(lambda: instance.sweep(timedelta()))
        conversation.update(timers_inactive="PT1M")
        assert tables[0].meanwhile == []
        clock.move(MINUTE)
        instance.sweep(timedelta())
        assert conversation.fetch().state == "inactive"


def test_postponing_a_changed_conversation_fails(instance: EmbeddedInstance, clock: ManualClock) -> None:
    sid = create(instance, timers_inactive="PT1H").sid
    conversations = ConversationRepository(instance.table)
    read = conversations.fetch(instance.account.sid, sid)
    assert read is not None
    later = read.model_copy(update={"due_at": clock.present + 2 * HOUR})
    conversations.put_off(read, later)
    stored = instance.items("conversation")
    with pytest.raises(ChangedMeanwhileError):
        conversations.put_off(read, later)
    assert instance.items("conversation") == stored


def test_conversation_is_closed_after_its_last_attempt(
    clock: ManualClock, instance: EmbeddedInstance, admissions: Admissions
) -> None:
    """Two attempts are allowed. The sweep after the second attempt closes the conversation."""
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=chat(1)).sid
    instance.lose_messages()
    retries, adder = ProvisioningRetries(max_attempts=2), instance.engine.program.participant_adder
    refused: list[str] = []

    def refuse(_: Provisioning, participant: Participant) -> None:
        refused.append(participant.sid)
        raise OSError

    failing = with_due_conversations(
        instance.engine.sweeper, retries=retries, participant_adder=replace(adder, admit=refuse)
    )
    for attempt in (1, 2):
        clock.move(HOUR)
        failing.sweep()
        assert len(refused) == attempt
        assert v1.conversations(sid).fetch().state == "initializing"
    clock.move(HOUR)
    failing.sweep()
    instance.work()
    assert (len(refused), v1.conversations(sid).fetch().state) == (2, "closed")


# The shards of the index `due`


class Shards:
    """A table with due items, and a sweeper that only removes the items from the index.

    The items are not real resources.
    """

    def __init__(self, table: Any, clock: ManualClock) -> None:
        self.table = table
        self.clock = clock
        self.processed: list[Key] = []
        self.number = 0

    def add(self, shard: int, kind: str = keys.CONVERSATION) -> Key:
        self.number += 1
        key = Key(f"AC1#CH{self.number:05}", kind)
        due = {keys.DUE.partition: keys.DUE_SHARDS[shard], keys.DUE.sort: due_time(self.clock.present, self.number)}
        self.table.transact([Put({**key._asdict(), **due})])
        return key

    def sweeper(self, *kinds: str) -> Sweeper:
        known = dict.fromkeys(kinds or (keys.CONVERSATION,), self.process)
        return Sweeper(
            DueRepository(self.table),
            known,
            AlertRepository(self.table),
            ProvisioningRetries(),
            lambda: self.clock.present + HOUR,
        )

    def process(self, key: Key, _: object) -> None:
        self.processed.append(key)
        self.table.transact([Put({**key._asdict()})])


def due_time(start: datetime, number: int) -> str:
    return str(keys.due_attributes("CH1", start + timedelta(milliseconds=number))[keys.DUE.sort])


@pytest.fixture
def shards(clock: ManualClock) -> Iterator[Shards]:
    with memory_table() as table:
        yield Shards(table, clock)


def budget(resources: int) -> Callable[[], bool]:
    """Return a `go_on` function that lets a sweep process this number of resources."""
    left = iter(range(resources))
    return lambda: next(left, None) is not None


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 30), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(8, 20), st.lists(st.integers(0, 7), max_size=20)), max_size=6),
)
def test_no_shard_waits_for_another(backlog: list[int], sweeps: list[tuple[int, list[int]]]) -> None:
    """A sweep can end before all due items are processed. Between two sweeps, more items become due.

    Let `share` be the largest number of items of one shard that a sweep processes. The sweep must process at least
    `share - 1` items of every other shard, or all due items of a shard that has fewer.
    """
    with memory_table() as table:
        shards = Shards(table, ManualClock())
        waiting = [[shards.add(shard) for _ in range(count)] for shard, count in enumerate(backlog)]
        for capacity, arriving in sweeps:
            shards.processed.clear()
            shards.sweeper().sweep(go_on=budget(capacity))
            done = [[key for key in keys_of_shard if key in shards.processed] for keys_of_shard in waiting]
            share = max(map(len, done))
            for keys_of_shard, processed in zip(waiting, done, strict=True):
                assert len(processed) >= min(share - 1, len(keys_of_shard))
                assert processed == keys_of_shard[: len(processed)], "the longest overdue item comes first"
                del keys_of_shard[: len(processed)]
            for shard in arriving:
                waiting[shard].append(shards.add(shard))


def test_backlog_in_one_shard_delays_no_item_of_another(shards: Shards) -> None:
    for _ in range(500):
        shards.add(0)
    others = [shards.add(shard) for shard in range(1, 8)]
    shards.sweeper().sweep(go_on=budget(10))
    assert set(others) <= set(shards.processed)


def test_shard_that_cannot_be_read_is_left_to_the_next_sweep(shards: Shards) -> None:
    @dataclass
    class Throttled:
        table: Any

        def query(self, partition: str, **options: Any) -> list[Item]:
            if partition == keys.DUE_SHARDS[3]:
                raise OSError("throttled")
            found: list[Item] = self.table.query(partition, **options)
            return found

    due = [shards.add(shard) for shard in range(8)]
    sweeper, throttled = shards.sweeper(), DueRepository(Throttled(shards.table))  # type: ignore[arg-type]
    assert replace(sweeper, due=throttled).sweep() == 7
    assert sweeper.sweep() == 1
    assert sorted(shards.processed) == due


def test_only_the_given_shards_are_processed(shards: Shards) -> None:
    due = [shards.add(shard) for shard in range(8)]
    shards.sweeper().sweep(shards=keys.DUE_SHARDS[2:4])
    assert shards.processed == due[2:4]


def test_item_of_a_kind_that_this_version_does_not_know_is_left_alone(shards: Shards) -> None:
    unknown = [shards.add(shard, kind) for shard in (0, 1) for kind in ("user", "service#IS1")]
    known = shards.add(1)
    stored = shards.table.get_many(unknown)
    assert shards.sweeper().sweep() == 1
    assert shards.processed == [known]
    assert shards.table.get_many(unknown) == stored
    assert shards.sweeper("user", "service").sweep() == 4
    assert sorted(shards.processed[1:]) == sorted(unknown)


def test_resource_whose_process_fails_is_tried_once_in_a_sweep(shards: Shards) -> None:
    tried: list[Key] = []

    def fail(key: Key, _: object) -> None:
        tried.append(key)
        raise OSError

    due = [shards.add(0) for _ in range(3)]
    sweeper = replace(shards.sweeper(), processes={keys.CONVERSATION: fail})
    assert (sweeper.sweep(), tried) == (3, due)


def test_threads_process_several_resources_at_the_same_time(shards: Shards) -> None:
    threads = 4
    barrier, processed = Barrier(threads, timeout=10), list[Key]()

    def wait_for_the_others(key: Key, _: object) -> None:
        barrier.wait()
        processed.append(key)

    due = [shards.add(number % 8) for number in range(3 * threads)]
    sweeper = replace(shards.sweeper(), processes={keys.CONVERSATION: wait_for_the_others})
    assert sweeper.sweep(threads=threads) == len(due)
    assert sorted(processed) == due


def test_threads_stop_when_the_time_is_over(shards: Shards) -> None:
    for number in range(100):
        shards.add(number % 8)
    assert shards.sweeper().sweep(threads=4, go_on=budget(10)) == 10


def test_entry_that_appears_twice_is_taken_once() -> None:
    """A query can return the same entry twice while the index changes."""
    key = Key("AC1#CH1", keys.CONVERSATION)
    turns = Turns([iter([key, key]), iter([key])], {keys.CONVERSATION})
    assert [turns.take(), turns.take(), turns.taken] == [key, None, 1]
