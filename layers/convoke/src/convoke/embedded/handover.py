"""Hand over work from requests and steps to later steps.

Participants and executions are handed over in memory. An execution is one run of the conversation finalizer. If a crash
loses this work, the sweeper later finds it in the table. Webhook deliveries and copies of messages are handed over
through a queue in the data file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial
from typing import NamedTuple

from convoke.domain.circuit_breakers import line_key, receiver_key
from convoke.domain.copies import Copy
from convoke.domain.events import Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import NO_RECEIVER, DurableQueue, QueuedMessage
from convoke.embedded.sqlite import SqliteTable
from convoke.lean_dataclass import lean_dataclass

Wake = Callable[[], None]


class Execution(NamedTuple):
    account_sid: str
    conversation_sid: str
    causes: Sequence[Cause]


@lean_dataclass
class InMemoryParticipantQueue:
    """Implements `ParticipantQueue`."""

    table: SqliteTable
    hand_over: Callable[[Provisioning], None]
    """Takes the participants, after the commit that stores the conversation."""

    def send(self, provisioning: Provisioning) -> None:
        self.table.run(partial(self.table.after_commit, partial(self.hand_over, provisioning)))


@lean_dataclass
class InMemoryWorkflow:
    """Implements `Workflow`.

    An execution may run before the commit of the unit of work (unit.py) that started the execution. The commit then
    stores both the writes of the unit and the writes of the execution.

    If the unit cannot be committed, an execution that has not yet run is removed from the queue in memory.
    """

    table: SqliteTable
    hand_over: Callable[[Execution], Callable[[], None]]
    """Takes an execution. Returns a function that removes the execution if the execution has not yet run."""

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        self.table.run(partial(self._start, Execution(account_sid, conversation_sid, causes)))

    def _start(self, execution: Execution) -> None:
        self.table.on_failure(self.hand_over(execution))


@lean_dataclass
class InProcessEventBus:
    """Implements `EventBus`. A target is a function, such as `Deliveries.accept`.

    Each target gets the events that notify webhooks or have copies to send. `publish` calls the targets on the calling
    thread, and returns after all targets have returned.
    """

    targets: list[Callable[[Event], None]] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            for target in self.targets if event.notify_webhooks or event.copies else ():
                target(event)


@lean_dataclass
class SqliteDeliveryQueue:
    """Implements `DeliveryQueue` and `CopyQueue` with one queue in the data file."""

    queue: DurableQueue
    wake: Wake

    def send(self, messages: Sequence[Delivery | Event | Copy]) -> None:
        self.queue.table.run(partial(self._send, [_queued(message) for message in messages]))

    def _send(self, messages: Sequence[QueuedMessage]) -> None:
        # This method runs on the thread that owns the table. On this thread, `after_commit` belongs to the unit that
        # stores the queue messages. On another thread, `after_commit` could belong to a different unit.
        self.queue.send(messages)
        self.queue.table.after_commit(self.wake)


def _queued(message: Delivery | Event | Copy) -> QueuedMessage:
    return QueuedMessage(message.account_sid, _receiver(message), message.model_dump_json())


def _receiver(message: Delivery | Event | Copy) -> str:
    match message:
        case Delivery():
            return receiver_key(message.account_sid, message.url)
        case Copy():
            return line_key(message.account_sid, message.line)
        case Event():
            return NO_RECEIVER
