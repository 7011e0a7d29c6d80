"""The embedded engine: the whole program on one SQLite file, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from convoke.bootstrap import program
from convoke.domain import instants
from convoke.domain.instants import Clock, Sleep
from convoke.domain.provisioning import Attempts
from convoke.domain.sids import NewSid, SidFactory
from convoke.local.handover import DeliveryMessages, TargetedEventBus, WaitingExecutions, WaitingParticipants
from convoke.local.queue import SCHEMA, DurableQueue
from convoke.local.turnstile import Turnstile
from convoke.local.worker import ConcurrentDeliveries, Deliveries, Loop, StateMachine, Steps
from convoke.observability import Metrics, NoMetrics
from convoke.operations.participant_adder import Admit
from convoke.operations.ports import AuthTokens, DeliveryQueue, EventBus, ParticipantQueue, WebhookClient, Workflow
from convoke.storage.accounts import AuthTokenTable
from convoke.storage.keys import is_streamed_to_webhooks
from convoke.storage.sqlite import SqliteTable
from convoke.storage.table import Table
from convoke.webhooks.client import WebhookHttpClient

SWEEP_INTERVAL = 1.0
GRACE = 5.0
"""Seconds that what was handed over may take when the process is to end."""

RETRY_INTERVAL = 0.25
"""Seconds between two looks at what was put off, of the sweeper and in the delivery queue."""


@dataclass(frozen=True, slots=True)
class LocalEdges:
    """The `Edges` of one machine."""

    table: Table
    auth_tokens: AuthTokens
    participant_queue: ParticipantQueue
    workflow: Workflow
    event_bus: EventBus
    delivery_queue: DeliveryQueue
    webhook_client: WebhookClient
    now: Clock
    sleep: Sleep
    new_sid: NewSid
    attempts: Attempts
    admit: Admit | None = None
    metrics: Metrics = NoMetrics()  # noqa: RUF009 - it holds nothing


Rewire = Callable[[LocalEdges], LocalEdges]
"""Puts something else in the place of an edge before the program is put together."""


class EmbeddedEngine:
    """`api` answers requests; what follows from them is done by `work`, or by threads between `start` and `stop`."""

    def __init__(self, data: str, rewire: Rewire = lambda edges: edges) -> None:
        """`data` is the path of the data file, or `:memory:`. Raises DataFileError."""
        self.table = SqliteTable(data, streamed=is_streamed_to_webhooks, on_stream=self._wake_steps, schema=SCHEMA)
        self.turnstile = Turnstile()
        self._queue = DurableQueue(self.table, "delivery")
        participants, executions = WaitingParticipants(self._wake_steps), WaitingExecutions(self._wake_steps)
        bus = TargetedEventBus()
        self.edges = rewire(
            LocalEdges(
                table=self.table,
                auth_tokens=AuthTokenTable(self.table),
                participant_queue=participants,
                workflow=executions,
                event_bus=bus,
                delivery_queue=DeliveryMessages(self._queue, self._wake_deliveries),
                webhook_client=WebhookHttpClient(),
                now=instants.now,
                sleep=self.turnstile.sleep,
                new_sid=SidFactory(),
                attempts=Attempts(),
            )
        )
        self.api = program.api(self.edges)
        self.accounts = program.accounts(self.edges)
        adder = program.participant_adder(self.edges)
        self.sweeper = program.sweeper(self.edges, adder)
        state_machine = StateMachine(program.conversation_finalizer(self.edges), self.edges.event_bus)
        publisher = program.event_publisher(self.edges)
        self._steps = Steps(
            participants.waiting, executions.waiting, self.table, adder, state_machine, publisher, self.turnstile
        )
        delivery = program.webhook_delivery(self.edges)
        bus.targets.append(delivery.split)
        self._deliveries = Deliveries(self._queue, delivery)
        self._concurrent_deliveries = ConcurrentDeliveries(self._deliveries, self._wake_deliveries)
        self._steps_loop = Loop("steps", lambda: self._steps.run(lambda: not self._stopping), SWEEP_INTERVAL)
        self._deliveries_loop = Loop("deliveries", self._concurrent_deliveries.run, RETRY_INTERVAL)
        self._sweeper_loop = Loop("sweeper", self._sweep, SWEEP_INTERVAL)
        self._sweep_until: datetime | None = None
        self._started = self._stopping = False

    def start(self) -> None:
        """Start the threads, which begin with what an earlier process left unfinished (promise 5)."""
        self._started = True
        self._queue.release()
        self._sweep_until = self.edges.now() + self.edges.attempts.longest_pause
        for loop in (self._steps_loop, self._deliveries_loop, self._sweeper_loop):
            loop.start()
            loop.wake()

    def stop(self) -> None:
        """Finish the calls under way and, for some seconds, what was handed over; close the data file.

        What is left is in the file, and the next process begins with it.
        """
        try:
            if self._started:
                self._stop()
            self._concurrent_deliveries.close()
        finally:
            self.table.close()

    def _stop(self) -> None:
        self._stopping = True
        for loop in (self._sweeper_loop, self._steps_loop, self._deliveries_loop):
            loop.stop()
        until = time.monotonic() + GRACE
        self._steps.run(lambda: time.monotonic() < until)

    def work(self) -> None:
        """Do in this thread everything that is waiting; what fails and is put off stays so."""
        self._steps.run()
        self._deliveries.run()

    def _sweep(self) -> None:
        """What is due; the first time also what an earlier process would have tried again later."""
        self.sweeper.sweep(self._sweep_until, go_on=lambda: not self._stopping)
        self._sweep_until = None
        self.table.remove_expired(self.edges.now())

    def _wake_steps(self) -> None:
        self._steps_loop.wake()

    def _wake_deliveries(self) -> None:
        self._deliveries_loop.wake()
