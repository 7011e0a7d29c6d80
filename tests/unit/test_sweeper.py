"""The tests check the sweeper while a client or another sweeper changes the conversation that the sweeper handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from convoke.domain.conversations import Conversation
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.operations.sweeper import Sweeper
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Write
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock

Meanwhile = Callable[[], object]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Admissions:
    """An `admit` function that accepts every participant. `asked` lists the participants that the product checked."""

    asked: list[Participant] = field(default_factory=list)

    def __call__(self, _: Provisioning, participant: Participant) -> None:
        self.asked.append(participant)


@dataclass(frozen=True)
class Overtaken(ProvisioningRepository):
    """A repository that calls `meanwhile` after each read of a conversation."""

    meanwhile: Callable[[Conversation], object]

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        found = super().fetch(account_sid, conversation_sid)
        assert found is not None
        self.meanwhile(found[0])
        return found


@dataclass(frozen=True)
class Interrupted:
    """A table that removes and calls a function of `meanwhile` before each transaction, until the list is empty."""

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
    """Run the sweeper. After the sweeper reads the conversation, another process claims the conversation.

    Return all items of the table, as they are after the claim.
    """
    items: list[list[dict[str, Any]]] = []

    def claim(conversation: Conversation) -> None:
        assert ConversationRepository(instance.table).claim(conversation, clock.present + HOUR)
        items.append(instance.items(""))

    sweeper = replace(instance.engine.sweeper, provisionings=Overtaken(instance.table, claim))
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


def test_timer_that_is_shortened_while_the_sweeper_puts_off_a_conversation_runs_out_in_time(clock: ManualClock) -> None:
    """A client shortens a timer. The due time that the client reads is early enough for the shorter timer.

    Before the client writes, the sweeper postpones the due time. The new due time is too late for the shorter timer.
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


def test_putting_off_a_conversation_that_was_changed_meanwhile_fails(
    instance: EmbeddedInstance, clock: ManualClock
) -> None:
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


def test_conversation_is_given_up_once_its_attempts_are_used_up(
    clock: ManualClock, instance: EmbeddedInstance, admissions: Admissions
) -> None:
    """Two attempts are allowed. The sweep after the second attempt closes the conversation."""
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=chat(1)).sid
    instance.lose_messages()
    sweeper: Sweeper = replace(instance.engine.sweeper, retries=ProvisioningRetries(max_attempts=2))
    refused: list[str] = []

    def refuse(_: Provisioning, participant: Participant) -> None:
        refused.append(participant.sid)
        raise OSError

    failing = replace(sweeper, participant_adder=replace(sweeper.participant_adder, admit=refuse))
    for attempt in (1, 2):
        clock.move(HOUR)
        failing.sweep()
        assert len(refused) == attempt
        assert v1.conversations(sid).fetch().state == "initializing"
    clock.move(HOUR)
    failing.sweep()
    instance.work()
    assert (len(refused), v1.conversations(sid).fetch().state) == (2, "closed")
