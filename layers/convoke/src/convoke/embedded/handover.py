"""The hand-over between the steps inside one process.

What is waiting here is lost with the process; the sweeper finds it in the table (architecture: promises 2 and 5).
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
"""Tells whoever does the next step that there is something to do."""


class Execution(NamedTuple):
    """The input of the finalizer's state machine."""

    account_sid: str
    conversation_sid: str
    causes: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class InMemoryParticipantQueue:
    """A ParticipantQueue in memory."""

    wake: Wake
    waiting: deque[Provisioning] = field(default_factory=deque)

    def send(self, provisioning: Provisioning) -> None:
        self.waiting.append(provisioning)
        self.wake()


@dataclass(frozen=True, slots=True)
class InMemoryWorkflow:
    """A Workflow in memory."""

    wake: Wake
    waiting: deque[Execution] = field(default_factory=deque)

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        self.waiting.append(Execution(account_sid, conversation_sid, causes))
        self.wake()


@dataclass(frozen=True, slots=True)
class InProcessEventBus:
    """An EventBus with one rule: events that webhooks may be told of go to every target, in the publisher's thread.

    So an event is published when its targets have it, and what is not published is found again.
    """

    targets: list[Callable[[Event], None]] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            for target in self.targets if event.notify_webhooks else ():
                target(event)


@dataclass(frozen=True, slots=True)
class SqliteDeliveryQueue:
    """A DeliveryQueue in the data file."""

    queue: DurableQueue
    wake: Wake

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        self.queue.send([(message.account_sid, message.model_dump_json()) for message in messages])
        self.wake()
