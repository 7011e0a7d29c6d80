"""The embedded engine: the whole program on one SQLite file, in one process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from convoke import bootstrap
from convoke.bootstrap import Edges
from convoke.domain import instants
from convoke.domain.provisioning import Attempts
from convoke.domain.sids import SidFactory
from convoke.local.handover import DeliveryMessages, TargetedEventBus, WaitingExecutions, WaitingParticipants
from convoke.local.queue import SCHEMA, DurableQueue
from convoke.local.turnstile import Turnstile
from convoke.local.worker import ConcurrentDeliveries, Deliveries, Loop, StateMachine, Steps
from convoke.storage.accounts import AuthTokenTable
from convoke.storage.keys import is_streamed_to_webhooks
from convoke.storage.sqlite import SqliteTable
from convoke.webhooks.client import WebhookHttpClient

SWEEP_INTERVAL = 1.0
RETRY_INTERVAL = 0.25
"""Seconds between two looks at what was put off, of the sweeper and in the delivery queue."""


Rewire = Callable[[Edges], Edges]
"""Puts something else in the place of an edge before the program is put together."""


class EmbeddedEngine:
    """`api` answers requests; what follows from them is done by `work`, or by threads between `start` and `stop`."""

    def __init__(self, data: str, rewire: Rewire = lambda edges: edges) -> None:
        """`data` is the path of the data file, or `:memory:`. Raises DataFileError."""
        self.table = SqliteTable(data, streamed=is_streamed_to_webhooks, on_stream=self._wake_steps, schema=SCHEMA)
        self._queue = DurableQueue(self.table, "delivery")
        participants, executions = WaitingParticipants(self._wake_steps), WaitingExecutions(self._wake_steps)
        bus = TargetedEventBus()
        self.edges = rewire(
            Edges(
                table=self.table,
                auth_tokens=AuthTokenTable(self.table),
                participant_queue=participants,
                workflow=executions,
                event_bus=bus,
                delivery_queue=DeliveryMessages(self._queue, self._wake_deliveries),
                webhook_client=WebhookHttpClient(),
                now=instants.now,
                new_sid=SidFactory(),
                attempts=Attempts(),
            )
        )
        self.api = bootstrap.api(self.edges)
        self.accounts = bootstrap.accounts(self.edges)
        adder = bootstrap.participant_adder(self.edges)
        self.sweeper = bootstrap.sweeper(self.edges, adder)
        state_machine = StateMachine(bootstrap.conversation_finalizer(self.edges), self.edges.event_bus)
        publisher = bootstrap.event_publisher(self.edges)
        self.turnstile = Turnstile()
        self._steps = Steps(
            participants.waiting, executions.waiting, self.table, adder, state_machine, publisher, self.turnstile
        )
        delivery = bootstrap.webhook_delivery(self.edges)
        bus.targets.append(delivery.split)
        self._deliveries = Deliveries(self._queue, delivery)
        self._concurrent_deliveries = ConcurrentDeliveries(self._deliveries, self._wake_deliveries)
        self._steps_loop = Loop("steps", self._steps.run, SWEEP_INTERVAL)
        self._deliveries_loop = Loop("deliveries", self._concurrent_deliveries.run, RETRY_INTERVAL)
        self._sweeper_loop = Loop("sweeper", self._sweep, SWEEP_INTERVAL)
        self._sweep_until: datetime | None = None

    def start(self) -> None:
        """Start the threads, which begin with what an earlier process left unfinished (promise 5)."""
        self._queue.release()
        self._sweep_until = self.edges.now() + self.edges.attempts.longest_pause
        for loop in (self._steps_loop, self._deliveries_loop, self._sweeper_loop):
            loop.start()
            loop.wake()

    def stop(self) -> None:
        """Finish what was handed over and the calls under way, and close the data file."""
        for loop in (self._sweeper_loop, self._steps_loop, self._deliveries_loop):
            loop.stop()
        self._steps.run()
        self._concurrent_deliveries.close()
        self.table.close()

    def work(self) -> None:
        """Do in this thread everything that is waiting; what fails and is put off stays so."""
        self._steps.run()
        self._deliveries.run()

    def _sweep(self) -> None:
        """What is due; the first time also what an earlier process would have tried again later."""
        until, self._sweep_until = self._sweep_until, None
        self.sweeper.sweep(until)

    def _wake_steps(self) -> None:
        self._steps_loop.wake()

    def _wake_deliveries(self) -> None:
        self._deliveries_loop.wake()
