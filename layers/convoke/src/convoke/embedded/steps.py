"""Runs the asynchronous steps of a conversation in one process: adding participants, finalizing, publishing the stream.

A failed step is logged. The sweeper or the stream finds its work again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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

MAX_CONVERSATIONS_PER_COMMIT = 32
"""Conversations whose steps are one commit."""

STREAM_BATCH_SIZE = 50
"""Changes published at a time."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The finalizer's: Finalize, Publish, Settle; Close where finalizing has failed for good."""

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


@dataclass(frozen=True, slots=True)
class Steps:
    """Adds participants, executes state machines and publishes the stream."""

    participants: deque[Provisioning]
    executions: deque[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    bus: EventBus
    taking: threading.Lock = field(default_factory=threading.Lock)

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Go on until nothing is waiting, or `go_on` says no: what is left is found in the table."""
        while self.turn() and go_on():
            pass

    def turn(self) -> bool:
        """Do some of what is waiting; whether there was anything."""
        with self.taking:
            return any((self._finish_conversations(), self._publish()))

    def _finish_conversations(self) -> bool:
        """Whether there were any. What a crash undoes is as if it had not been begun."""
        if not (self.participants or self.executions):
            return False
        with self.table.transaction():
            for _ in range(MAX_CONVERSATIONS_PER_COMMIT):
                _attempt_next(self.participants, self.adder.add)
                _attempt_next(self.executions, self.state_machine.execute)
        return True

    def _publish(self) -> bool:
        """Whether there was anything. Records are forgotten only when they are on the bus."""
        records = self.table.stream_records(STREAM_BATCH_SIZE)
        if records:
            changes = [change for _, item in records if (change := _readable(item))]
            if events := [event for change in changes for event in change.events]:
                self.bus.publish(events)
            self.table.forget_stream_records(records[-1][0])
        return bool(records)


def _readable(item: Item) -> Change | None:
    """The change in a record. One that cannot be read any more, ever, must not hold up those behind it."""
    try:
        return change_of(item)
    except ValidationError:
        logger.exception("a change cannot be published", extra={"change_sid": item.get("sid")})
        return None


def _attempt_next(waiting: deque[Work], handle: Callable[[Work], None]) -> None:
    if not waiting:
        return
    try:
        handle(waiting.popleft())
    except Exception:
        logger.exception("a step failed; the sweeper will try again")
