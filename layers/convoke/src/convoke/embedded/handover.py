"""The embedded engine's versions of SQS, Step Functions and EventBridge.

They implement the ports of operations/ports.py. The queue of participants and the workflow are in memory. If the
process ends, their content is lost, and the sweeper finds the unfinished conversations in the table. See
docs/decisions/0011-only-deliveries-are-queued-durably.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from convoke.domain.events import Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import DurableQueue

Wake = Callable[[], None]
"""Schedules the code that processes a queue."""


class Execution(NamedTuple):
    """The input of one execution of the conversation finalizer's state machine."""

    account_sid: str
    conversation_sid: str
    causes: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class InMemoryParticipantQueue:
    """Implements `ParticipantQueue` in memory."""

    wake: Wake
    messages: deque[Provisioning] = field(default_factory=deque)

    def send(self, provisioning: Provisioning) -> None:
        self.messages.append(provisioning)
        self.wake()


@dataclass(frozen=True, slots=True)
class InMemoryWorkflow:
    """Implements `Workflow` in memory."""

    wake: Wake
    executions: deque[Execution] = field(default_factory=deque)

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        self.executions.append(Execution(account_sid, conversation_sid, causes))
        self.wake()


@dataclass(frozen=True, slots=True)
class InProcessEventBus:
    """Implements `EventBus` with a single rule: an event that may go to webhooks is passed to every target.

    `publish` calls the targets on the caller's thread. An error of a target is an error of `publish`, so the event
    stays unpublished and is published again.
    """

    targets: list[Callable[[Event], None]] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            for target in self.targets if event.notify_webhooks else ():
                target(event)


@dataclass(frozen=True, slots=True)
class SqliteDeliveryQueue:
    """Implements `DeliveryQueue` in the data file."""

    queue: DurableQueue
    wake: Wake

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        self.queue.send([(message.account_sid, message.model_dump_json()) for message in messages])
        self.wake()
