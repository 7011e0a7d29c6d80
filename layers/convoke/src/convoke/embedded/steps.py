"""Run the asynchronous steps: add participants, finalize conversations, and publish the records of the stream.

A failed step is logged. The sweeper later finds the conversation of the failed step in the table. A record that is not
published stays in the stream.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError

from convoke.domain.events import Change, Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.embedded.handover import Execution
from convoke.embedded.sqlite import SqliteTable
from convoke.operations.conversation_finalizer import ConversationFinalizer, MustCloseError, NothingToFinalizeError
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import EventBus
from convoke.storage.events import change_of
from convoke.storage.table import Item

logger = logging.getLogger(__name__)

STREAM_BATCH_SIZE = 20
"""The maximum number of stream records that are published in one batch."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Work]):
    """A queue in memory. `age` returns for how many seconds the first entry has been waiting, or 0."""

    entries: deque[tuple[float, Work]] = field(default_factory=deque)

    def append(self, work: Work) -> Callable[[], None]:
        """Append the work. Return a function that removes the work again if it is still in the queue."""
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


@dataclass(frozen=True, slots=True)
class StateMachine:
    """Does in this process what the state machine of the conversation finalizer does on AWS.

    The states are Finalize, Publish and Settle. If Finalize fails permanently, Close replaces it.
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
    """Runs the steps that are ready, and publishes the stream."""

    participants: Waiting[Provisioning]
    executions: Waiting[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    bus: EventBus
    stream_grew: bool = True
    """Whether the stream may have records. True at the start, because a crash may have left records."""

    def age(self) -> float:
        """Return for how many seconds the oldest step has been ready to run."""
        return max(self.participants.age(), self.executions.age())

    @property
    def are_waiting(self) -> bool:
        return bool(len(self.participants) or len(self.executions) or self.stream_grew)

    def run_all(self, until: float = float("inf")) -> None:
        """Run steps until no step is waiting, or until `until`, a time of the monotonic clock.

        Only for a table without an event loop. Steps that did not run can be found in the table later. Raises
        UnavailableError if another process holds the write lock for too long.
        """
        while self.are_waiting and time.monotonic() < until:
            with self.table.unit():
                self.run(until)

    def run(self, until: float) -> None:
        """Run at least one waiting step, and more steps until `until`. Then publish one batch of the stream.

        `until` is a time of the monotonic clock. If another process holds the write lock, the result depends on the
        thread. On the event loop's thread, this method raises RunAgainError, and no step is lost. Otherwise this method
        waits for the write lock.
        """
        self.table.run(self.table.begin)
        while len(self.participants) or len(self.executions):
            # Open a new unit if the previous step has filled and committed its unit.
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

        One commit removes the records and stores the deliveries of their events. A crash therefore cannot enqueue the
        deliveries of an event twice.
        """
        if not self.stream_grew:
            return
        records = self.table.stream_records(STREAM_BATCH_SIZE)
        self.stream_grew = len(records) == STREAM_BATCH_SIZE
        changes = [change for _, item in records if (change := _readable(item))]
        if events := [event for change in changes for event in change.events]:
            self.bus.publish(events)
        if records:
            self.table.delete_stream_records([sequence for sequence, _ in records])


def _readable(item: Item) -> Change | None:
    """Return the change in a record, or None if the record is malformed.

    A malformed record is logged and skipped, because it must not block the later records.
    """
    try:
        return change_of(item)
    except ValidationError:
        logger.exception("a change cannot be published", extra={"change_sid": item.get("sid")})
        return None


def _attempt(handle: Callable[[Work], None], work: Work) -> None:
    try:
        handle(work)
    except Exception:
        logger.exception("a step failed; the sweeper will try again")
