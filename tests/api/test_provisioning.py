"""The transactions of the asynchronous half take effect once, whoever comes twice or late (promises 3 and 4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from convoke.aws.edges import AwsEdges
from convoke.domain.alerts import provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import initializing_ended, participants_added
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningRetries
from convoke.embedded.engine import EmbeddedEngine
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance


class Actors:
    """A conversation that was just created, and whatever may be done to it, by anybody, in any order."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.conversations = ConversationRepository(instance.table)
        self.provisionings = ProvisioningRepository(instance.table)
        create = instance.client().conversations.v1.conversation_with_participants.create
        self.sid = create(unique_name="visit", participant=CHAT_AND_SMS).sid
        self.conversation, self.provisioning = self.fetch()
        self.now: datetime = self.conversation.date_created

    def fetch(self) -> tuple[Conversation, Provisioning]:
        found = self.provisionings.fetch(self.instance.account.sid, self.sid)
        assert found is not None
        conversation, provisioning = found
        assert provisioning is not None
        return conversation, provisioning

    def add(self) -> bool:
        record = self.provisioning
        change = participants_added(
            record.added_change_sid, record.subject, record.participants, at=self.now, notify_webhooks=False
        )
        return self.provisionings.add(record.added(self.now), change)

    def finalize(self) -> bool:
        finished = self.conversation.finished(State.ACTIVE, self.now)
        change = initializing_ended(self.provisioning.state_change_sid, finished, at=self.now)
        return self.provisionings.finalize(finished, change)

    def close(self) -> bool:
        closed = self.conversation.finished(State.CLOSED, self.now)
        change = initializing_ended(self.provisioning.state_change_sid, closed, at=self.now)
        failed = self.provisioning.failed([Cause(code=50109, message="a role")], self.now)
        alert = provisioning_failed_alert(closed, failed, self.now)
        return self.provisionings.close(closed, failed, change, alert)

    def settle(self) -> None:
        self.conversations.settle(self.instance.account.sid, self.sid)

    def claim(self) -> bool:
        return self.conversations.claim(self.conversation, self.now + timedelta(minutes=1))

    def stored(self) -> list[dict[str, Any]]:
        return self.instance.items("")


@pytest.fixture
def actors(instance: Instance) -> Actors:
    return Actors(instance)


def test_members_are_added_once(actors: Actors) -> None:
    assert actors.add()
    before = actors.stored()
    assert not actors.add()
    assert actors.stored() == before


def test_what_was_finalized_is_neither_finalized_again_nor_closed(actors: Actors) -> None:
    assert actors.add()
    assert actors.finalize()
    before = actors.stored()
    assert not actors.finalize()
    assert not actors.close()
    assert actors.stored() == before


def test_what_was_closed_is_neither_closed_again_nor_finalized_and_gets_no_members(actors: Actors) -> None:
    assert actors.close()
    before = actors.stored()
    assert not actors.close()
    assert not actors.finalize()
    assert not actors.add()
    assert actors.stored() == before


def test_with_its_members_in_a_conversation_is_not_closed_by_whoever_comes_late(actors: Actors) -> None:
    assert actors.add()
    assert not actors.close()


def test_of_two_sweepers_one_claims(actors: Actors) -> None:
    assert actors.claim()
    assert not actors.claim()
    conversation, _ = actors.fetch()
    assert (conversation.attempts, conversation.due_at) == (1, actors.now + timedelta(minutes=1))


def test_settling_leaves_alone_what_is_initializing_and_makes_nothing(actors: Actors) -> None:
    before = actors.stored()
    actors.settle()
    actors.conversations.settle(actors.instance.account.sid, "CH" + "0" * 32)
    assert actors.stored() == before


def test_a_sweep_attends_once_and_puts_off_what_it_attends_to(clocked: Instance) -> None:
    create = clocked.client().conversations.v1.conversation_with_participants.create
    create(participant=CHAT_AND_SMS)
    clocked.lose_messages()
    assert clocked.sweep(timedelta(seconds=9)) == 0
    assert clocked.sweep(timedelta(seconds=10)) == 1
    assert clocked.sweep(timedelta(seconds=11)) == 0


def test_losing_every_participant_message_loses_nothing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sids = [v1.conversation_with_participants.create(participant=['{"identity": "alice"}']).sid for _ in range(5)]
    instance.lose_messages()
    instance.work()
    assert {v1.conversations(sid).fetch().state for sid in sids} == {"initializing"}
    assert instance.sweep(timedelta(seconds=11)) == 5
    instance.work()
    assert {v1.conversations(sid).fetch().state for sid in sids} == {"active"}
    assert instance.sweep(timedelta(days=1)) == 0


def test_a_thousand_attempts_later_there_is_still_a_next_one() -> None:
    moment = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
    pauses = [ProvisioningRetries().next_attempt_at(moment, attempts) - moment for attempts in range(1000)]
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(minutes=10)


SETTINGS = {
    "CONVOKE_PROVISIONING_ATTEMPTS": "2",
    "CONVOKE_PROVISIONING_FIRST_PAUSE": "PT3S",
    "CONVOKE_PROVISIONING_LONGEST_PAUSE": "PT1M",
}


def test_attempts_are_those_of_the_environment() -> None:
    wanted = ProvisioningRetries(max_attempts=2, first_pause=timedelta(seconds=3), max_pause=timedelta(minutes=1))
    for environ, attempts in ((SETTINGS, wanted), ({}, ProvisioningRetries())):
        engine = EmbeddedEngine(":memory:", environ=environ)
        engine.stop()
        assert engine.edges.provisioning_retries == AwsEdges(environ).provisioning_retries == attempts


@pytest.mark.parametrize("wrong", [{"ATTEMPTS": "0"}, {"FIRST_PAUSE": "soon"}, {"LONGEST_PAUSE": "PT0S"}])
def test_attempts_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AwsEdges({f"CONVOKE_PROVISIONING_{name}": value for name, value in wrong.items()})
