"""Run the asynchronous steps of conversations: add participants, finalize, publish the stream.

A failed step is logged. The sweeper finds its conversation in the table, and an unpublished record stays in the stream.
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
"""Changes published in one batch."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Work]):
    """A queue in memory that knows how long its head has been waiting, in seconds of the monotonic clock."""

    entries: deque[tuple[float, Work]] = field(default_factory=deque)

    def append(self, work: Work) -> Callable[[], None]:
        """Return a function that removes the work again unless it has been taken."""
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
    """The finalizer's state machine: Finalize, Publish, Settle; Close if finalizing fails permanently."""

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
    """The steps that are ready to run, and the stream."""

    participants: Waiting[Provisioning]
    executions: Waiting[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    bus: EventBus
    stream_grew: bool = True
    """Whether the stream may hold records; true at the start, because a crash may have left some."""

    def age(self) -> float:
        """Return how many seconds the step at the head of a queue has been ready to run."""
        return max(self.participants.age(), self.executions.age())

    @property
    def are_waiting(self) -> bool:
        return bool(len(self.participants) or len(self.executions) or self.stream_grew)

    def run_all(self, until: float = float("inf")) -> None:
        """Without an event loop: run until nothing is waiting or `until` has come; the table keeps what is left.

        Raises UnavailableError if another process holds the write lock for too long.
        """
        while self.are_waiting and time.monotonic() < until:
            with self.table.unit():
                self.run(until)

    def run(self, until: float) -> None:
        """Run steps until `until`, a moment of the monotonic clock, at least one; then publish a batch of the stream.

        Raises RunAgainError while another process holds the write lock; then no step is lost. Without an event loop
        waits for the lock.
        """
        self.table.run(self.table.begin)
        while len(self.participants) or len(self.executions):
            # A no-op unless the step before has filled the unit.
            self.table.begin()
            # Executions first: they finish what has been begun.
            if len(self.executions):
                _attempt(self.state_machine.execute, self.executions.pop())
            else:
                _attempt(self.adder.add, self.participants.pop())
            self.table.commit_if_full()
            if time.monotonic() >= until:
                break
        self._publish()

    def _publish(self) -> None:
        """Publish and remove in one commit, so that a crash repeats an event only outside this process."""
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
    """Return the change in a record, or None for one that can never be read: it must not block those behind it."""
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
