"""The embedded engine: the whole program on one SQLite file, in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from types import MappingProxyType

from convoke.config import Settings
from convoke.domain import instants
from convoke.domain.instants import Clock, Sleep
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.receivers import ReceiverRules
from convoke.domain.sids import NewSid, SidFactory
from convoke.domain.webhooks import Delivery
from convoke.embedded.clock import Advance, Advanced, MovableClock
from convoke.embedded.clock_api import clock_routes
from convoke.embedded.deliveries import ConcurrentDeliveries, Deliveries
from convoke.embedded.greenlets import RequestGreenlets
from convoke.embedded.handover import InMemoryParticipantQueue, InMemoryWorkflow, InProcessEventBus, SqliteDeliveryQueue
from convoke.embedded.loops import Debounced, Loop
from convoke.embedded.queue import SCHEMA, DeadLetterQueue, DurableQueue
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.steps import StateMachine, Steps
from convoke.observability import Metrics, NoMetrics
from convoke.operations.participant_adder import Admit
from convoke.operations.ports import DeliveryQueue, EventBus, ParticipantQueue, WebhookClient, Workflow
from convoke.program import Program
from convoke.storage.auth_tokens import AuthTokens, AuthTokenTable
from convoke.storage.conversations import ConversationRepository
from convoke.storage.keys import is_streamed_to_webhooks
from convoke.storage.table import Table
from convoke.webhooks.answers import WebhookAnswer
from convoke.webhooks.client import WebhookHttpClient

SWEEP_INTERVAL_SECONDS = 1.0
SHUTDOWN_GRACE_SECONDS = 5.0
"""Seconds that what was handed over may take when the process is to end."""

SETTLE_POLL_SECONDS = 0.005
"""Seconds between two looks at whether there is still something to do."""

ANY_RECEIVER = ReceiverRules()
"""On one machine receivers are where developers have them."""

RETRY_INTERVAL_SECONDS = 0.25
"""Seconds between two looks at what was put off, of the sweeper and in the delivery queue."""


@dataclass(frozen=True, slots=True)
class EmbeddedEdges:
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
    attempts: ProvisioningRetries
    receiver_rules: ReceiverRules = ANY_RECEIVER
    admit: Admit | None = None
    metrics: Metrics = NoMetrics()  # noqa: RUF009 - it holds nothing


@dataclass(frozen=True, slots=True)
class OffLoopWebhookClient:
    """A WebhookClient for requests: while its receiver takes its time, others have their turn."""

    client: WebhookClient
    turns: RequestGreenlets

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, longest_answer: int) -> WebhookAnswer:
        call = partial(
            self.client.call, delivery, retry_count=retry_count, auth_token=auth_token, longest_answer=longest_answer
        )
        return self.turns.outside(call)


Rewire = Callable[[EmbeddedEdges], EmbeddedEdges]
"""Puts something else in the place of an edge before the program is put together."""


class EmbeddedEngine:
    """`api` answers requests; what follows from them is done by `work`, or by threads between `start` and `stop`."""

    def __init__(
        self,
        data: str,
        rewire: Rewire = lambda edges: edges,
        movable_clock: MovableClock | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`data` is the path of the data file, or `:memory:`. Raises DataFileError.

        With a `movable_clock` the API has paths to move it by. Of `environ` counts only how members are tried to be
        added again; raises ValidationError.
        """
        self.table = SqliteTable(data, streamed=is_streamed_to_webhooks, on_stream=self._wake_steps, schema=SCHEMA)
        self.turns = RequestGreenlets()
        self._queue = DurableQueue(self.table, "delivery")
        self.dead_letters = DeadLetterQueue(self.table, "delivery")
        participants, executions = InMemoryParticipantQueue(self._wake_steps), InMemoryWorkflow(self._wake_steps)
        bus = InProcessEventBus()
        edges = rewire(
            EmbeddedEdges(
                table=self.table,
                auth_tokens=AuthTokenTable(self.table),
                participant_queue=participants,
                workflow=executions,
                event_bus=bus,
                delivery_queue=SqliteDeliveryQueue(self._queue, self._wake_deliveries),
                webhook_client=WebhookHttpClient(ANY_RECEIVER),
                now=movable_clock or instants.now,
                sleep=self.turns.sleep,
                new_sid=SidFactory(),
                attempts=ProvisioningRetries.model_validate(Settings(environ).provisioning),
            )
        )
        self.edges = replace(edges, webhook_client=OffLoopWebhookClient(edges.webhook_client, self.turns))
        routes = clock_routes(movable_clock, self.advance) if movable_clock else ()
        self.program = Program(self.edges, routes)
        self.api, self.accounts, self.sweeper = self.program.api, self.program.accounts, self.program.sweeper
        self._steps = Steps(
            participants.waiting,
            executions.waiting,
            self.table,
            self.program.participant_adder,
            StateMachine(self.program.conversation_finalizer, self.edges.event_bus),
            self.edges.event_bus,
        )
        bus.targets.append(self.program.webhook_delivery.split)
        self._deliveries = Deliveries(self._queue, self.program.webhook_delivery)
        self._concurrent_deliveries = ConcurrentDeliveries(self._deliveries, self._wake_deliveries)
        self._steps_loop = Loop("steps", self._finish, SWEEP_INTERVAL_SECONDS)
        self._rouse_steps = self._steps_loop.wake
        self._deliveries_loop = Loop("deliveries", self._concurrent_deliveries.run, RETRY_INTERVAL_SECONDS)
        self._sweeper_loop = Loop("sweeper", self._sweep, SWEEP_INTERVAL_SECONDS)
        self._sweep_until: datetime | None = None
        self._movable_clock = movable_clock
        self._sweeping = Lock()
        self._started = self._stopping = False

    def start(self, event_loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Start what does the work, beginning with what an earlier process left unfinished (promise 5).

        Where `event_loop` answers requests the steps behind them take turns with them there; else they have a thread.
        """
        self._started = True
        self._queue.release()
        self._sweep_until = self.edges.now() + self.edges.attempts.max_delay
        if event_loop:
            self._rouse_steps = Debounced(event_loop, self._steps.turn).wake
        else:
            self._steps_loop.start()
        self._wake_steps()
        for loop in (self._deliveries_loop, self._sweeper_loop):
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
        until = time.monotonic() + SHUTDOWN_GRACE_SECONDS
        self._steps.run(lambda: time.monotonic() < until)

    def work(self) -> None:
        """Do in this thread everything that is waiting; what fails and is put off stays so."""
        self._steps.run()
        self._deliveries.run()

    def settle(self, timeout: float) -> bool:
        """Whether within so many seconds nothing is left to do: no step, and no webhook to be called, or again."""
        until = time.monotonic() + timeout
        self._finish()
        while not self._queue.is_empty():
            if time.monotonic() > until:
                return False
            time.sleep(SETTLE_POLL_SECONDS)
        return True

    def advance(self, by: timedelta) -> Advanced:
        """Let time pass on the movable clock, and do what comes due in it; webhooks are called in real time.

        Nobody else sweeps meanwhile, and a request from which this is called keeps no other from its turn. Raises
        OverflowError.
        """
        if self._movable_clock is None:
            raise ValueError("the clock of this engine cannot be moved")
        next_due = ConversationRepository(self.edges.table).next_due
        advance = Advance(self._movable_clock, next_due, self._attend, self._finish, self._goes_on)
        return self.turns.outside(partial(self._advance, advance, by))

    def _advance(self, advance: Advance, by: timedelta) -> Advanced:
        with self._sweeping:
            advanced = advance(by)
            self.table.remove_expired(advanced.now)
        return advanced

    def _goes_on(self) -> bool:
        return not self._stopping

    def _finish(self) -> None:
        """The steps that are waiting."""
        self._steps.run(self._goes_on)

    def _sweep(self) -> None:
        """What is due; the first time also what an earlier process would have tried again later."""
        with self._sweeping:
            self._attend(self._sweep_until)
            self._sweep_until = None
            self.table.remove_expired(self.edges.now())
        self._wake_steps()

    def _attend(self, until: datetime | None = None) -> int:
        return self.sweeper.sweep(until, go_on=self._goes_on)

    def _wake_steps(self) -> None:
        self._rouse_steps()

    def _wake_deliveries(self) -> None:
        self._deliveries_loop.wake()
