"""Whoever comes too late for a conversation that is deleted resurrects nothing and ends quietly (promise 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from convoke.domain.alerts import provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Change, conversation_removed, initializing_ended, participants_added
from convoke.domain.instants import now
from convoke.domain.provisioning import Cause, Provisioning
from convoke.observability import NoMetrics
from convoke.operations.conversation_finalizer import ConversationFinalizer, NothingToFinalizeError, NotReadyError
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.packing import unpack_provisioning
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from tests.support.deletions import AT_ONCE, LONG_AFTER, conversation_in, left_of
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance


def before_the_adder(instance: Instance) -> None:
    """Its message is still waiting."""


def after_the_adder(instance: Instance) -> None:
    """The members are in, and the finalizer is to start."""
    (record,) = instance.items("provisioning")
    provisioning = unpack_provisioning(record)
    added = provisioning.added(provisioning.date_created)
    assert ProvisioningRepository(instance.table).add(added, members_added(added))


def after_the_finalizer(instance: Instance) -> None:
    instance.work()


@pytest.mark.parametrize("moment", [before_the_adder, after_the_adder, after_the_finalizer])
def test_whoever_comes_late_resurrects_nothing_and_ends_quietly(
    instance: Instance, moment: Callable[[Instance], None], caplog: pytest.LogCaptureFixture
) -> None:
    v1 = instance.client().conversations.v1
    sid = conversation_in(instance, "initializing")
    (record,) = instance.items("provisioning")
    moment(instance)
    v1.conversations(sid).delete()
    instance.work()
    deleted = instance.items("")
    late(instance, record)
    assert instance.items("") == deleted

    instance.sweep(AT_ONCE)
    removed = instance.items("")
    late(instance, record)
    assert instance.items("") == removed
    assert instance.sweep(LONG_AFTER) == 0
    assert set(left_of(instance, sid)) == {"change"}
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


def late(instance: Instance, record: dict[str, Any]) -> None:
    """A participant message comes again, and with it an execution of the finalizer."""
    for _ in range(2):
        instance.repeat(record)
        instance.work()


def members_added(provisioning: Provisioning) -> Change:
    return participants_added(
        provisioning.added_change_sid,
        provisioning.subject,
        provisioning.participants,
        at=provisioning.date_created,
        notify_webhooks=False,
    )


class Latecomer:
    """Whoever has read a conversation before it was deleted, and writes after that."""

    def __init__(self, instance: Instance, sid: str) -> None:
        self.conversations = ConversationRepository(instance.table)
        self.provisionings = ProvisioningRepository(instance.table)
        conversation, provisioning = self.provisionings.fetch(instance.account.sid, sid) or (None, None)
        assert conversation is not None
        assert provisioning is not None
        self.conversation, self.provisioning = conversation, provisioning
        self.now = conversation.date_created

    def add(self) -> bool:
        return self.provisionings.add(self.provisioning.added(self.now), members_added(self.provisioning))

    def finalize(self) -> bool:
        finished = self.conversation.finished(State.ACTIVE, self.now)
        return self.provisionings.finalize(finished, self._ended(finished))

    def close(self) -> bool:
        closed = self.conversation.finished(State.CLOSED, self.now)
        failed = self.provisioning.failed([Cause(code=50109, message="a role")], self.now)
        alert = provisioning_failed_alert(closed, failed, self.now)
        return self.provisionings.close(closed, failed, self._ended(closed), alert)

    def settle(self) -> bool:
        self.conversations.settle(self.conversation.account_sid, self.conversation.sid)
        return False

    def claim(self) -> bool:
        return self.conversations.claim(self.conversation, self.now + LONG_AFTER)

    def update(self) -> bool:
        after = self.conversation.model_copy(update={"state": State.ACTIVE, "unique_name": "other"})
        return self._done(lambda: self.conversations.update(*self._between(after)[:3]))

    def delete(self) -> bool:
        return self._done(lambda: self.conversations.delete(*self._between(self.conversation.as_tombstone(self.now))))

    def _between(self, after: Conversation) -> tuple[Conversation, Conversation, Change, Provisioning]:
        change = conversation_removed("EV" + "0" * 32, self.conversation, (), at=self.now, notify_webhooks=False)
        return self.conversation, after, change, self.provisioning

    def _ended(self, after: Conversation) -> Change:
        return initializing_ended(self.provisioning.state_change_sid, after, at=self.now)

    @staticmethod
    def _done(write: Callable[[], None]) -> bool:
        try:
            write()
        except ChangedMeanwhileError:
            return False
        return True


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("write", ["add", "finalize", "close", "settle", "claim", "update", "delete"])
def test_what_was_read_before_is_written_by_nobody_after(instance: Instance, write: str, swept: bool) -> None:
    sid = conversation_in(instance, "initializing")
    latecomer = Latecomer(instance, sid)
    instance.client().conversations.v1.conversations(sid).delete()
    if swept:
        instance.sweep(AT_ONCE)
    before = instance.items("")
    assert getattr(latecomer, write)() is False
    assert instance.items("") == before


@pytest.mark.parametrize("end", ["finalize", "close"])
def test_what_has_left_initializing_since_it_was_read_is_read_again(instance: Instance, end: str) -> None:
    """It has an event to tell by then, or other locks."""
    sid = conversation_in(instance, "initializing")
    if end == "finalize":
        after_the_adder(instance)
    latecomer = Latecomer(instance, sid)
    assert getattr(Latecomer(instance, sid), end)()
    before = instance.items("")
    assert not latecomer.delete()
    assert instance.items("") == before


@dataclass(frozen=True)
class Overtaken(ProvisioningRepository):
    """Something happens between each reading and what follows from it."""

    meanwhile: Callable[[], object]

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        found = super().fetch(account_sid, conversation_sid)
        self.meanwhile()
        return found


@pytest.mark.parametrize("task", ["finalize", "close"])
def test_a_finalizer_that_is_overtaken_by_the_deletion_finds_nothing_left(instance: Instance, task: str) -> None:
    sid = conversation_in(instance, "initializing")
    if task == "finalize":
        after_the_adder(instance)
    meanwhile = partial(instance.call, "DELETE", f"/v1/Conversations/{sid}")
    finalizer = finalizer_on(instance, Overtaken(instance.table, meanwhile))
    with pytest.raises(NothingToFinalizeError):
        getattr(finalizer, task)(instance.account.sid, sid, [])
    assert instance.items("alert") == []


def test_a_finalizer_that_is_overtaken_by_another_leaves_the_rest_to_it(instance: Instance) -> None:
    sid = conversation_in(instance, "initializing")
    after_the_adder(instance)
    finalizer = finalizer_on(instance, Overtaken(instance.table, Latecomer(instance, sid).finalize))
    with pytest.raises(NotReadyError):
        finalizer.finalize(instance.account.sid, sid, [])


def finalizer_on(instance: Instance, provisionings: ProvisioningRepository) -> ConversationFinalizer:
    table = instance.table
    return ConversationFinalizer(ConversationRepository(table), provisionings, EventRepository(table), now, NoMetrics())


def test_what_was_read_before_it_was_settled_is_read_again(instance: Instance) -> None:
    """When it is due follows from its timers since."""
    sid = conversation_in(instance, "initializing")
    after_the_adder(instance)
    assert Latecomer(instance, sid).finalize()
    unsettled = Latecomer(instance, sid)
    unsettled.settle()
    before = instance.items("")
    assert not unsettled.update()
    assert not unsettled.delete()
    assert instance.items("") == before


@pytest.mark.parametrize("timer", ["PT0S", "PT1M"])
def test_what_is_changed_before_it_is_settled_stays_due_for_that(instance: Instance, timer: str) -> None:
    sid = conversation_in(instance, "initializing")
    after_the_adder(instance)
    assert Latecomer(instance, sid).finalize()
    instance.lose_messages()
    before = Latecomer(instance, sid).conversation
    instance.client().conversations.v1.conversations(sid).update(timers_inactive=timer)
    assert Latecomer(instance, sid).conversation.due_at == before.due_at
    assert instance.sweep(timedelta(seconds=11)) == 1
    instance.work()
    after = Latecomer(instance, sid).conversation
    assert (after.unsettled, after.due_at) == (False, after.date_inactive)


@pytest.mark.parametrize("write", ["settle", "claim"])
def test_what_becomes_of_an_old_due_moment_leaves_the_tombstone_due(instance: Instance, write: str) -> None:
    sid = conversation_in(instance, "initializing")
    after_the_adder(instance)
    assert Latecomer(instance, sid).finalize()
    unsettled = Latecomer(instance, sid)
    getattr(unsettled, write)()
    assert Latecomer(instance, sid).delete()
    getattr(unsettled, write)()
    assert instance.sweep(AT_ONCE) == 1
    assert set(left_of(instance, sid)) <= {"change"}


def test_what_was_read_in_two_halves_takes_nothing_from_another(instance: Instance) -> None:
    """The record of its members, read from before it failed, says that it has locks which another one has by now."""
    sid = conversation_in(instance, "initializing", CHAT_AND_SMS)
    early = Latecomer(instance, sid)
    assert early.close()
    other = conversation_in(instance, "active", CHAT_AND_SMS)
    early.conversation = Latecomer(instance, sid).conversation
    before = instance.items("")
    assert not early.delete()
    assert instance.items("") == before
    assert instance.client().conversations.v1.conversations("visit").fetch().sid == other
