"""What the steps hand over to each other in memory. A crash loses it; the table holds what the sweeper needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from convoke.domain.events import Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.receivers import receiver_of
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import NO_RECEIVER, DurableQueue, QueuedMessage
from convoke.embedded.sqlite import SqliteTable

Wake = Callable[[], None]


class Execution(NamedTuple):
    account_sid: str
    conversation_sid: str
    causes: Sequence[Cause]


@dataclass(frozen=True, slots=True)
class InMemoryParticipantQueue:
    """A ParticipantQueue. The participants are handed over after the commit of their conversation."""

    table: SqliteTable
    hand_over: Callable[[Provisioning], None]

    def send(self, provisioning: Provisioning) -> None:
        self.table.run(partial(self.table.after_commit, partial(self.hand_over, provisioning)))


@dataclass(frozen=True, slots=True)
class InMemoryWorkflow:
    """A Workflow. An execution may run in the unit that starts it: then one commit stores both, or neither."""

    table: SqliteTable
    hand_over: Callable[[Execution], Callable[[], None]]
    """Takes the execution and returns what takes it back."""

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        self.table.run(partial(self._start, Execution(account_sid, conversation_sid, causes)))

    def _start(self, execution: Execution) -> None:
        self.table.on_failure(self.hand_over(execution))


@dataclass(frozen=True, slots=True)
class InProcessEventBus:
    """An EventBus with one rule: an event that webhooks may be sent goes to every target.

    The publisher's thread calls the targets: an event is published when its targets have stored their part of it.
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
        self.queue.table.run(partial(self._send, [_queued(message) for message in messages]))

    def _send(self, messages: Sequence[QueuedMessage]) -> None:
        # On the thread that owns the table: only there `after_commit` means the unit of these messages.
        self.queue.send(messages)
        self.queue.table.after_commit(self.wake)


def _queued(message: Delivery | Event) -> QueuedMessage:
    # The account is part of the receiver: two tenants that use one host do not share limits or circuit breakers.
    receiver = f"{message.account_sid} {receiver_of(message.url)}" if isinstance(message, Delivery) else NO_RECEIVER
    return QueuedMessage(message.account_sid, receiver, message.model_dump_json())
