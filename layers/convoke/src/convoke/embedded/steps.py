"""The asynchronous steps after a request: add participants, finalize the conversation, publish the stream.

A failed step is logged and not retried here. The sweeper or the stream finds its work again.
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
"""Conversations whose steps share one commit, because commits cost more than the steps."""

STREAM_BATCH_SIZE = 50
"""Changes that are published at a time."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The conversation finalizer's state machine, as template.yaml declares it for Step Functions.

    Its states are Finalize, Publish and Settle. If Finalize fails permanently, Close replaces it.
    """

    finalizer: ConversationFinalizer
    bus: EventBus

    def execute(self, execution: Execution) -> None:
        """Run one execution. An execution that arrives twice does nothing the second time."""
        try:
            event = self._finalize_or_close(*execution)
        except NothingToFinalizeError:
            return
        self.bus.publish([event])
        self.finalizer.settle(execution.account_sid, execution.conversation_sid)

    def _finalize_or_close(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        try:
            return self.finalizer.finalize(account_sid, conversation_sid, causes)
        except MustCloseError:
            return self.finalizer.close(account_sid, conversation_sid, causes)


@dataclass(frozen=True, slots=True)
class Steps:
    """Runs the steps that wait in memory and in the stream."""

    participants: deque[Provisioning]
    executions: deque[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    bus: EventBus
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held during a batch, so that two threads never publish the same part of the stream."""

    def run(self, should_continue: Callable[[], bool] = lambda: True) -> None:
        """Run batches until no work is left or `should_continue` returns False."""
        while self.run_batch() and should_continue():
            pass

    def run_batch(self) -> bool:
        """Run the steps of up to 32 conversations, publish up to 50 changes, and return whether there was work."""
        with self.lock:
            # A tuple, not a generator: `any` must not skip the second call if the first returns True.
            return any((self._finish_conversations(), self._publish_stream()))

    def _finish_conversations(self) -> bool:
        """Run the steps of some conversations in one transaction, and return whether there were any.

        A crash rolls the whole transaction back. The sweeper then finds the conversations again.
        """
        if not (self.participants or self.executions):
            return False
        with self.table.transaction():
            for _ in range(MAX_CONVERSATIONS_PER_COMMIT):
                _handle_next(self.participants, self.adder.add)
                _handle_next(self.executions, self.state_machine.execute)
        return True

    def _publish_stream(self) -> bool:
        """Publish some records of the stream and return whether there were any."""
        records = self.table.stream_records(STREAM_BATCH_SIZE)
        if records:
            changes = [change for _, item in records if (change := _parse_change(item))]
            if events := [event for change in changes for event in change.events]:
                self.bus.publish(events)
            # Publish first, then delete: a crash between the two repeats events, but never loses them.
            self.table.delete_stream_records(records[-1][0])
        return bool(records)


def _parse_change(item: Item) -> Change | None:
    """Return the change in a stream record, or None if the record is invalid.

    An invalid record stays invalid, so it must not block the records after it.
    """
    try:
        return change_of(item)
    except ValidationError:
        logger.exception("A change is invalid and cannot be published.", extra={"change_sid": item.get("sid")})
        return None


def _handle_next(queue: deque[Work], handle: Callable[[Work], None]) -> None:
    if not queue:
        return
    try:
        handle(queue.popleft())
    except Exception:
        logger.exception("A step failed. The sweeper will retry it.")
