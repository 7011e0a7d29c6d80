"""Each step of provisioning takes effect once, even if its queue message is late or repeated.

The module also tests the pauses between the attempts of provisioning. See docs/behaviour/provisioning.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from convoke.aws.edges import AwsEdges
from convoke.domain.alerts import provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Origin, initializing_ended, participants_added
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningRetries
from convoke.embedded.engine import EmbeddedEngine
from convoke.storage.alerts import alert_writes
from convoke.storage.conversations import ConversationRepository
from convoke.storage.first_sights import FirstSights
from convoke.storage.provisioning import ProvisioningRepository
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance


class ProvisioningSteps:
    """A new conversation, with one method for each provisioning step. A test can run the steps in any order."""

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
            record.added_change_sid,
            record.subject,
            record.participants,
            at=self.now,
            origin=Origin(notify_webhooks=False),
        )
        first_sights = FirstSights(self.instance.table)
        return self.provisionings.add(record.added(self.now), first_sights, (), lambda _: change)

    def finalize(self) -> bool:
        finished = self.conversation.finished(State.ACTIVE, self.now)
        change = initializing_ended(self.provisioning.state_change_sid, finished, at=self.now)
        return self.provisionings.finalize(finished, change)

    def close(self) -> bool:
        closed = self.conversation.finished(State.CLOSED, self.now)
        change = initializing_ended(self.provisioning.state_change_sid, closed, at=self.now)
        failed = self.provisioning.failed([Cause(code=50109, message="a role")], self.now)
        alert = provisioning_failed_alert(closed, failed, self.now)
        return self.provisionings.close(closed, failed, change, alert_writes(alert))

    def settle(self) -> None:
        self.conversations.settle(self.instance.account.sid, self.sid)

    def claim(self) -> bool:
        return self.conversations.claim(self.conversation, self.now + timedelta(minutes=1))

    def stored(self) -> list[dict[str, Any]]:
        return self.instance.items("")


@pytest.fixture
def steps(instance: Instance) -> ProvisioningSteps:
    return ProvisioningSteps(instance)


@pytest.mark.each_engine
def test_participants_are_added_once(steps: ProvisioningSteps) -> None:
    assert steps.add()
    before = steps.stored()
    assert not steps.add()
    assert steps.stored() == before


@pytest.mark.each_engine
def test_finalized_conversation_is_not_finalized_again_or_closed(steps: ProvisioningSteps) -> None:
    assert steps.add()
    assert steps.finalize()
    before = steps.stored()
    assert not steps.finalize()
    assert not steps.close()
    assert steps.stored() == before


@pytest.mark.each_engine
def test_closed_conversation_is_not_finalized_and_gets_no_participants(steps: ProvisioningSteps) -> None:
    assert steps.close()
    before = steps.stored()
    assert not steps.close()
    assert not steps.finalize()
    assert not steps.add()
    assert steps.stored() == before


@pytest.mark.each_engine
def test_conversation_with_participants_is_not_closed_by_late_failure(steps: ProvisioningSteps) -> None:
    assert steps.add()
    assert not steps.close()


@pytest.mark.each_engine
def test_two_sweepers_claim_a_conversation_once(steps: ProvisioningSteps) -> None:
    assert steps.claim()
    assert not steps.claim()
    conversation, _ = steps.fetch()
    assert (conversation.attempts, conversation.due_at) == (1, steps.now + timedelta(minutes=1))


@pytest.mark.each_engine
def test_settle_ignores_initializing_and_missing_conversations(steps: ProvisioningSteps) -> None:
    before = steps.stored()
    steps.settle()
    steps.conversations.settle(steps.instance.account.sid, "CH" + "0" * 32)
    assert steps.stored() == before


@pytest.mark.each_engine
def test_sweep_processes_once_and_postpones_the_next_attempt(clocked: Instance) -> None:
    create = clocked.client().conversations.v1.conversation_with_participants.create
    create(participant=CHAT_AND_SMS)
    clocked.lose_messages()
    assert clocked.sweep(timedelta(seconds=9)) == 0
    assert clocked.sweep(timedelta(seconds=10)) == 1
    assert clocked.sweep(timedelta(seconds=11)) == 0


@pytest.mark.each_engine
def test_sweep_recovers_lost_participant_messages(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sids = [v1.conversation_with_participants.create(participant=['{"identity": "alice"}']).sid for _ in range(5)]
    instance.lose_messages()
    instance.work()
    assert {v1.conversations(sid).fetch().state for sid in sids} == {"initializing"}
    assert instance.sweep(timedelta(seconds=11)) == 5
    instance.work()
    assert {v1.conversations(sid).fetch().state for sid in sids} == {"active"}
    assert instance.sweep(timedelta(days=1)) == 0


def test_backoff_never_runs_out_of_attempts() -> None:
    moment = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
    pauses = [ProvisioningRetries().next_attempt_at(moment, attempts) - moment for attempts in range(1000)]
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert pauses == sorted(pauses)
    assert pauses[6:9] == [timedelta(minutes=10)] * 3
    assert pauses[9] == timedelta(minutes=20)
    assert pauses[-1] == timedelta(days=1)


SETTINGS = {
    "CONVOKE_PROVISIONING_ATTEMPTS": "2",
    "CONVOKE_PROVISIONING_FIRST_PAUSE": "PT3S",
    "CONVOKE_PROVISIONING_LONGEST_PAUSE": "PT1M",
}


def test_provisioning_retries_are_read_from_environment() -> None:
    wanted = ProvisioningRetries(max_attempts=2, first_pause=timedelta(seconds=3), max_pause=timedelta(minutes=1))
    for environ, attempts in ((SETTINGS, wanted), ({}, ProvisioningRetries())):
        engine = EmbeddedEngine(":memory:", environ=environ)
        engine.close()
        assert engine.edges.provisioning_retries == AwsEdges(environ).provisioning_retries == attempts


@pytest.mark.parametrize("wrong", [{"ATTEMPTS": "0"}, {"FIRST_PAUSE": "soon"}, {"LONGEST_PAUSE": "PT0S"}])
def test_invalid_provisioning_retries_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AwsEdges({f"CONVOKE_PROVISIONING_{name}": value for name, value in wrong.items()})
