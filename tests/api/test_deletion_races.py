"""Late queue messages and outdated writes change nothing. They do not restore a deleted conversation.

See docs/how-it-works.md#promises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from convoke.domain.alerts import provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Change, Origin, conversation_removed, initializing_ended, participants_added
from convoke.domain.instants import now
from convoke.domain.provisioning import Cause, Provisioning
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import NoMetrics
from convoke.operations.conversation_finalizer import ConversationFinalizer, NothingToFinalizeError, NotReadyError
from convoke.storage.alerts import alert_writes
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.first_sights import FirstSights
from convoke.storage.packing import unpack_provisioning
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from tests.support.deletions import AT_ONCE, LONG_AFTER, conversation_in, item_kinds_left
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance


def participants_not_added(instance: Instance) -> None:
    """Do nothing. The queue message for the participant adder stays in the queue."""


def participants_added_by_adder(instance: Instance) -> None:
    """Add the participants without starting the finalizer."""
    (record,) = instance.items("provisioning")
    provisioning = unpack_provisioning(record)
    added = provisioning.added(provisioning.date_created)
    assert add_members(instance, added)


def conversation_finalized(instance: Instance) -> None:
    instance.work()


@pytest.mark.each_engine
@pytest.mark.parametrize("moment", [participants_not_added, participants_added_by_adder, conversation_finalized])
def test_late_participant_message_after_deletion_has_no_effect(
    instance: Instance, moment: Callable[[Instance], None], caplog: pytest.LogCaptureFixture
) -> None:
    v1 = instance.client().conversations.v1
    sid = conversation_in(instance, "initializing")
    (record,) = instance.items("provisioning")
    moment(instance)
    v1.conversations(sid).delete()
    instance.work()
    deleted = instance.items("")
    repeat_participant_message(instance, record)
    assert instance.items("") == deleted

    instance.sweep(AT_ONCE)
    removed = instance.items("")
    repeat_participant_message(instance, record)
    assert instance.items("") == removed
    assert instance.sweep(LONG_AFTER) == 0
    assert set(item_kinds_left(instance, sid)) == {"change"}
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


def repeat_participant_message(instance: Instance, record: dict[str, Any]) -> None:
    """Deliver the participant adder's message two more times. Run the next steps after each delivery."""
    for _ in range(2):
        instance.repeat(record)
        instance.work()


def members_added(provisioning: Provisioning) -> Change:
    return participants_added(
        provisioning.added_change_sid,
        provisioning.subject,
        provisioning.participants,
        at=provisioning.date_created,
        origin=Origin(notify_webhooks=False),
    )


def add_members(instance: Instance, added: Provisioning) -> bool:
    table = instance.table
    return ProvisioningRepository(table).add(added, FirstSights(table), (), lambda _: members_added(added))


class StaleWriter:
    """Writes outdated data: the methods use the conversation that the constructor has read."""

    def __init__(self, instance: Instance, sid: str) -> None:
        self.instance = instance
        self.conversations = ConversationRepository(instance.table)
        self.provisionings = ProvisioningRepository(instance.table)
        conversation, provisioning = self.provisionings.fetch(instance.account.sid, sid) or (None, None)
        assert conversation is not None
        assert provisioning is not None
        self.conversation, self.provisioning = conversation, provisioning
        self.now = conversation.date_created

    def add(self) -> bool:
        return add_members(self.instance, self.provisioning.added(self.now))

    def finalize(self) -> bool:
        finished = self.conversation.finished(State.ACTIVE, self.now)
        return self.provisionings.finalize(finished, self._ended(finished))

    def close(self) -> bool:
        closed = self.conversation.finished(State.CLOSED, self.now)
        failed = self.provisioning.failed([Cause(code=50109, message="a role")], self.now)
        alert = provisioning_failed_alert(closed, failed, self.now)
        return self.provisionings.close(closed, failed, self._ended(closed), alert_writes(alert))

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
        change = conversation_removed(
            "EV" + "0" * 32, self.conversation, (), at=self.now, origin=Origin(notify_webhooks=False)
        )
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


@pytest.mark.each_engine
@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("write", ["add", "finalize", "close", "settle", "claim", "update", "delete"])
def test_stale_write_after_deletion_is_refused(instance: Instance, write: str, swept: bool) -> None:
    sid = conversation_in(instance, "initializing")
    stale_writer = StaleWriter(instance, sid)
    instance.client().conversations.v1.conversations(sid).delete()
    if swept:
        instance.sweep(AT_ONCE)
    before = instance.items("")
    assert getattr(stale_writer, write)() is False
    assert instance.items("") == before


@pytest.mark.each_engine
@pytest.mark.parametrize("end", ["finalize", "close"])
def test_delete_read_before_initializing_ended_is_refused(instance: Instance, end: str) -> None:
    """A deletion reads the conversation in the state `initializing`. Then the state changes. Then the deletion writes.

    The write must be refused for two reasons. First, the event about the end of `initializing` may be unpublished.
    Convoke does not publish the earlier events of a deleted conversation, so the record of the deletion must contain
    this event. The old data does not contain the event. Second, the old data contains
    locks that a closed conversation no longer holds.
    """
    sid = conversation_in(instance, "initializing")
    if end == "finalize":
        participants_added_by_adder(instance)
    stale_writer = StaleWriter(instance, sid)
    assert getattr(StaleWriter(instance, sid), end)()
    before = instance.items("")
    assert not stale_writer.delete()
    assert instance.items("") == before


@lean_dataclass
class OvertakenRepository(ProvisioningRepository):
    """A repository that calls `meanwhile` after each read of a conversation.

    `meanwhile` writes to the table, as another process could.
    """

    meanwhile: Callable[[], object]

    def _fetch(self, *arguments: Any) -> Any:
        found = ProvisioningRepository._fetch(self, *arguments)
        self.meanwhile()
        return found


@pytest.mark.each_engine
@pytest.mark.parametrize("task", ["finalize", "close"])
def test_finalizer_overtaken_by_deletion_raises_nothing_to_finalize(instance: Instance, task: str) -> None:
    sid = conversation_in(instance, "initializing")
    if task == "finalize":
        participants_added_by_adder(instance)
    meanwhile = partial(instance.call, "DELETE", f"/v1/Conversations/{sid}")
    finalizer = finalizer_on(instance, OvertakenRepository(instance.table, meanwhile))
    with pytest.raises(NothingToFinalizeError):
        getattr(finalizer, task)(instance.account.sid, sid, [])
    assert instance.items("alert") == []


@pytest.mark.each_engine
def test_finalizer_overtaken_by_another_finalizer_raises_not_ready(instance: Instance) -> None:
    sid = conversation_in(instance, "initializing")
    participants_added_by_adder(instance)
    finalizer = finalizer_on(instance, OvertakenRepository(instance.table, StaleWriter(instance, sid).finalize))
    with pytest.raises(NotReadyError):
        finalizer.finalize(instance.account.sid, sid, [])


def finalizer_on(instance: Instance, provisionings: ProvisioningRepository) -> ConversationFinalizer:
    table = instance.table
    return ConversationFinalizer(ConversationRepository(table), provisionings, EventRepository(table), now, NoMetrics())


@pytest.mark.each_engine
def test_stale_write_before_settling_is_refused(instance: Instance) -> None:
    """Settling computes the conversation's due time. An outdated write must not replace the new due time."""
    sid = conversation_in(instance, "initializing")
    participants_added_by_adder(instance)
    assert StaleWriter(instance, sid).finalize()
    unsettled = StaleWriter(instance, sid)
    unsettled.settle()
    before = instance.items("")
    assert not unsettled.update()
    assert not unsettled.delete()
    assert instance.items("") == before


@pytest.mark.each_engine
@pytest.mark.parametrize("timer", ["PT0S", "PT1M"])
def test_update_before_settling_keeps_conversation_due_for_settling(instance: Instance, timer: str) -> None:
    sid = conversation_in(instance, "initializing")
    participants_added_by_adder(instance)
    assert StaleWriter(instance, sid).finalize()
    instance.lose_messages()
    before = StaleWriter(instance, sid).conversation
    instance.client().conversations.v1.conversations(sid).update(timers_inactive=timer)
    assert StaleWriter(instance, sid).conversation.due_at == before.due_at
    assert instance.sweep(timedelta(seconds=11)) == 1
    instance.work()
    after = StaleWriter(instance, sid).conversation
    assert (after.unsettled, after.due_at) == (False, after.date_inactive)


@pytest.mark.each_engine
@pytest.mark.parametrize("write", ["settle", "claim"])
def test_stale_settle_or_claim_keeps_deleted_conversation_due(instance: Instance, write: str) -> None:
    sid = conversation_in(instance, "initializing")
    participants_added_by_adder(instance)
    assert StaleWriter(instance, sid).finalize()
    unsettled = StaleWriter(instance, sid)
    getattr(unsettled, write)()
    assert StaleWriter(instance, sid).delete()
    getattr(unsettled, write)()
    assert instance.sweep(AT_ONCE) == 1
    assert set(item_kinds_left(instance, sid)) <= {"change"}


@pytest.mark.each_engine
def test_delete_with_stale_provisioning_keeps_locks_of_another_conversation(instance: Instance) -> None:
    """The stale provisioning record lists locks that `sid` has released, and that the conversation `other` holds."""
    sid = conversation_in(instance, "initializing", CHAT_AND_SMS)
    early = StaleWriter(instance, sid)
    assert early.close()
    other = conversation_in(instance, "active", CHAT_AND_SMS)
    early.conversation = StaleWriter(instance, sid).conversation
    before = instance.items("")
    assert not early.delete()
    assert instance.items("") == before
    assert instance.client().conversations.v1.conversations("visit").fetch().sid == other
