"""Run the asynchronous steps: add participants, finalize conversations and publish stream records.

If a step fails, the failure is logged, and the sweeper later finds the conversation in the table and tries again. A
record that is not yet published stays in the stream.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from convoke.domain.events import Change, Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.embedded.handover import Execution
from convoke.embedded.queue import DeadLetterQueue
from convoke.embedded.sqlite import SqliteTable
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversation_finalizer import ConversationFinalizer, MustCloseError, NothingToFinalizeError
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import EventBus
from convoke.storage.events import UnreadableChangeError, change_of
from convoke.storage.table import Item

logger = logging.getLogger(__name__)

STREAM_BATCH_SIZE = 20
"""The maximum number of stream records in one batch."""

Work = TypeVar("Work")


@lean_dataclass
class Waiting(Generic[Work]):
    """A queue in memory.

    `age` returns how many seconds the first entry has been waiting. For an empty queue, `age` returns 0.
    """

    entries: deque[tuple[float, Work]] = field(default_factory=deque)

    def append(self, work: Work) -> Callable[[], None]:
        """Append `work` to the queue. Return a function that removes `work`, unless `work` has left the queue."""
        entry = (time.monotonic(), work)
        self.entries.append(entry)

        def take_back() -> None:
            with suppress(ValueError):
                self.entries.remove(entry)

        return take_back

    def pop(self) -> Work:
        return self.entries.popleft()[1]

    def age(self) -> float:
        return time.monotonic() - self.entries[0][0] if self.entries else 0.0

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(slots=True)
class StreamBacklog:
    """Tracks whether the stream may contain records, and how long the oldest record has been waiting.

    The stream does not store when a record arrived. Therefore this object stores the time of each commit and the number
    of records in the commit. Records from before the start of the process do not count for the age.
    """

    may_have_records: bool = True
    """True at the start, because the stream may contain records from before a crash."""
    arrivals: deque[tuple[float, int]] = field(default_factory=deque)
    """The time of each commit, and how many records of the commit are still in the stream."""

    def grew(self, records: int) -> None:
        self.may_have_records = True
        self.arrivals.append((time.monotonic(), records))

    def published(self, records: int, *, is_last: bool) -> None:
        """Forget the oldest records, because they are published. `records` is the number of these records.

        If `is_last` is True, the stream contains no more records.
        """
        self.may_have_records = not is_last
        if is_last:
            self.arrivals.clear()
        while records and self.arrivals:
            moment, count = self.arrivals.popleft()
            if count > records:
                self.arrivals.appendleft((moment, count - records))
            records -= min(count, records)

    def age(self) -> float:
        return time.monotonic() - self.arrivals[0][0] if self.arrivals else 0.0


@lean_dataclass
class StateMachine:
    """Runs the conversation finalizer in this process. On AWS, a state machine of Step Functions does this work.

    The states are Finalize, Publish and Settle. If Finalize fails permanently, Close replaces Finalize.
    """

    finalizer: ConversationFinalizer
    bus: EventBus

    def execute(self, execution: Execution) -> None:
        try:
            event = self._ended(*execution)
        except NothingToFinalizeError:
            return
        self.bus.publish([event])
        self.finalizer.settle(execution.account_sid, execution.conversation_sid)

    def _ended(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        try:
            return self.finalizer.finalize(account_sid, conversation_sid, causes)
        except MustCloseError:
            return self.finalizer.close(account_sid, conversation_sid, causes)


@dataclass(slots=True)
class Steps:
    """Runs the waiting steps, and publishes the records of the stream."""

    participants: Waiting[Provisioning]
    executions: Waiting[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    bus: EventBus
    change_dead_letters: DeadLetterQueue
    stream: StreamBacklog = field(default_factory=StreamBacklog)

    def age(self) -> float:
        """Return how many seconds the oldest step or stream record has been waiting. Return 0 if nothing waits."""
        return max(self.participants.age(), self.executions.age(), self.stream.age())

    @property
    def are_waiting(self) -> bool:
        return bool(len(self.participants) or len(self.executions) or self.stream.may_have_records)

    def run_all(self, until: float = float("inf")) -> None:
        """Run steps until no step is waiting, or until the monotonic clock reaches `until`.

        Call this method only if the table has no event loop. Steps that do not run are not lost, because the sweeper
        later finds the work in the table. Raise UnavailableError if another process holds the write lock for too long.
        """
        while self.are_waiting and time.monotonic() < until:
            with self.table.unit():
                self.run(until)

    def run(self, until: float) -> None:
        """Run steps until no step waits or the monotonic clock reaches `until`. Then publish a batch of stream records.

        If a step waits, at least one step runs.

        If another process holds the write lock, this method raises RunAgainError on the event loop's thread. The
        steps that have not run stay in their queues. On other threads, this method waits for the write lock.
        """
        self.table.run(self.table.begin)
        while len(self.participants) or len(self.executions):
            # The previous step may have filled the unit, so that the unit was committed. `begin` then opens a new unit.
            self.table.begin()
            # Run executions first, because they complete conversations that are already in progress.
            if len(self.executions):
                _attempt(self.state_machine.execute, self.executions.pop())
            else:
                _attempt(self.adder.add, self.participants.pop())
            self.table.commit_if_full()
            if time.monotonic() >= until:
                break
        self._publish()

    def _publish(self) -> None:
        """Publish one batch of stream records.

        One commit removes the records and stores the deliveries of their events. Therefore a crash never puts a
        delivery into the delivery queue twice.
        """
        if not self.stream.may_have_records:
            return
        records = self.table.stream_records(STREAM_BATCH_SIZE)
        self.stream.published(len(records), is_last=len(records) < STREAM_BATCH_SIZE)
        changes = [change for _, item in records if (change := self._readable(item))]
        if events := [event for change in changes for event in change.events]:
            self.bus.publish(events)
        if records:
            self.table.delete_stream_records([sequence for sequence, _ in records])

    def _readable(self, item: Item) -> Change | None:
        """Return the change in a record. If the record is unreadable, add a dead letter and return None.

        The commit that stores the dead letter also removes the record. Therefore the record does not block later
        records.
        """
        try:
            return change_of(item)
        except UnreadableChangeError as error:
            logger.exception("a change cannot be published", extra={"change_sid": error.change.change_sid})
            self.change_dead_letters.add(error.change.account_sid, error.change.model_dump_json())
            return None


def _attempt(handle: Callable[[Work], None], work: Work) -> None:
    try:
        handle(work)
    except Exception:
        logger.exception("a step failed; the sweeper will try again")
