"""The embedded engine: the whole program in one process, on one SQLite file.

Requests and asynchronous steps share the event loop. Webhook deliveries and the sweeper have threads of their own. See
docs/decisions/0010-requests-share-the-event-loop.md.
"""

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
from convoke.embedded.clock import Advance, AdvanceResult, MovableClock
from convoke.embedded.clock_api import clock_routes
from convoke.embedded.deliveries import ConcurrentDeliveries, Deliveries
from convoke.embedded.greenlets import RequestGreenlets
from convoke.embedded.handover import InMemoryParticipantQueue, InMemoryWorkflow, InProcessEventBus, SqliteDeliveryQueue
from convoke.embedded.loops import Debouncer, PeriodicThread
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

DELIVERY_POLL_SECONDS = 0.25
"""How often to look for deliveries whose visibility timeout or pause has ended."""

SHUTDOWN_GRACE_SECONDS = 5.0
"""How long waiting steps may take to finish when the process stops."""

SETTLE_POLL_SECONDS = 0.005
"""How often `settle` checks whether work is left."""

ANY_RECEIVER = ReceiverRules()
"""No restrictions: on one machine, webhooks may call any address, such as localhost."""


@dataclass(frozen=True, slots=True)
class EmbeddedEdges:
    """Implements `Edges` for the embedded engine."""

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
    provisioning_retries: ProvisioningRetries
    receiver_rules: ReceiverRules = ANY_RECEIVER
    admit: Admit | None = None
    metrics: Metrics = NoMetrics()  # noqa: RUF009 - it has no state to share


@dataclass(frozen=True, slots=True)
class OffLoopWebhookClient:
    """A `WebhookClient` for requests, which ask receivers about pre-events. Other requests run during a call."""

    client: WebhookClient
    greenlets: RequestGreenlets

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        call = partial(
            self.client.call,
            delivery,
            retry_count=retry_count,
            auth_token=auth_token,
            max_answer_bytes=max_answer_bytes,
        )
        return self.greenlets.off_loop(call)


Rewire = Callable[[EmbeddedEdges], EmbeddedEdges]
"""Replaces some of the edges before the program is built, for tests."""


class EmbeddedEngine:
    """The program with its queues, its sweeper and its data file.

    `api` answers requests as soon as the engine is created. The asynchronous work that follows from them is done either
    by `work`, on the caller's thread, or in the background between `start` and `stop`.
    """

    def __init__(
        self,
        data: str,
        rewire: Rewire = lambda edges: edges,
        movable_clock: MovableClock | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Open the data file and build the program.

        `data` is the path of the data file, or `:memory:`. With a `movable_clock`, the API serves the clock's paths.
        The engine reads the variables CONVOKE_PROVISIONING_* of `environ`, and no others. Raises DataFileError, and
        pydantic's ValidationError if a variable is invalid.
        """
        self.table = SqliteTable(data, streamed=is_streamed_to_webhooks, on_stream=self._wake_steps, schema=SCHEMA)
        self.greenlets = RequestGreenlets()
        self._queue = DurableQueue(self.table, "delivery")
        self.dead_letters = DeadLetterQueue(self.table, "delivery")
        participant_queue, workflow = InMemoryParticipantQueue(self._wake_steps), InMemoryWorkflow(self._wake_steps)
        bus = InProcessEventBus()
        edges = rewire(
            EmbeddedEdges(
                table=self.table,
                auth_tokens=AuthTokenTable(self.table),
                participant_queue=participant_queue,
                workflow=workflow,
                event_bus=bus,
                delivery_queue=SqliteDeliveryQueue(self._queue, self._wake_deliveries),
                webhook_client=WebhookHttpClient(ANY_RECEIVER),
                now=movable_clock or instants.now,
                sleep=self.greenlets.sleep,
                new_sid=SidFactory(),
                provisioning_retries=ProvisioningRetries.model_validate(Settings(environ).provisioning_retries),
            )
        )
        # After `rewire`, so that the client of a test is called off the event loop too.
        self.edges = replace(edges, webhook_client=OffLoopWebhookClient(edges.webhook_client, self.greenlets))
        routes = clock_routes(movable_clock, self.advance) if movable_clock else ()
        self.program = Program(self.edges, routes)
        self.api, self.accounts, self.sweeper = self.program.api, self.program.accounts, self.program.sweeper
        self._steps = Steps(
            participant_queue.messages,
            workflow.executions,
            self.table,
            self.program.participant_adder,
            StateMachine(self.program.conversation_finalizer, self.edges.event_bus),
            self.edges.event_bus,
        )
        bus.targets.append(self.program.webhook_delivery.split)
        self._deliveries = Deliveries(self._queue, self.program.webhook_delivery)
        self._concurrent_deliveries = ConcurrentDeliveries(self._deliveries, self._wake_deliveries)
        self._steps_thread = PeriodicThread("steps", self._run_steps, SWEEP_INTERVAL_SECONDS)
        # `start` replaces this with the wake-up of the debouncer if the steps run on the event loop.
        self._wake_steps_runner = self._steps_thread.wake
        self._deliveries_thread = PeriodicThread("deliveries", self._concurrent_deliveries.run, DELIVERY_POLL_SECONDS)
        self._sweeper_thread = PeriodicThread("sweeper", self._sweep, SWEEP_INTERVAL_SECONDS)
        self._sweep_until: datetime | None = None
        self._movable_clock = movable_clock
        self._sweep_lock = Lock()
        self._started = self._stopping = False

    def start(self, event_loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Start the background work, beginning with the work that an earlier process left unfinished.

        If `event_loop` is given, the steps run on it, between the requests. Otherwise they run on a thread.
        """
        self._started = True
        self._queue.make_received_visible()
        # The earlier process put off its retries by at most the longest pause. The first sweep retries them all now.
        self._sweep_until = self.edges.now() + self.edges.provisioning_retries.max_pause
        if event_loop:
            self._wake_steps_runner = Debouncer(event_loop, self._steps.run_batch).wake
        else:
            self._steps_thread.start()
        self._wake_steps()
        for thread in (self._deliveries_thread, self._sweeper_thread):
            thread.start()
            thread.wake()

    def stop(self) -> None:
        """Stop the background work and close the data file.

        Waits for the webhook calls in progress, and up to 5 seconds for the steps. Unfinished work stays in the data
        file, and the next process begins with it.
        """
        try:
            if self._started:
                self._stop_background_work()
            self._concurrent_deliveries.close()
        finally:
            self.table.close()

    def _stop_background_work(self) -> None:
        self._stopping = True
        for thread in (self._sweeper_thread, self._steps_thread, self._deliveries_thread):
            thread.stop()
        deadline = time.monotonic() + SHUTDOWN_GRACE_SECONDS
        self._steps.run(lambda: time.monotonic() < deadline)

    def work(self) -> None:
        """Run all waiting steps and deliveries on this thread. Retries that are not due yet keep waiting."""
        self._steps.run()
        self._deliveries.run()

    def settle(self, timeout: float) -> bool:
        """Wait until no steps and no deliveries are left, and return whether that happened within `timeout` seconds.

        A delivery that waits for its retry counts as left.
        """
        deadline = time.monotonic() + timeout
        self._run_steps()
        while not self._queue.is_empty():
            if time.monotonic() > deadline:
                return False
            time.sleep(SETTLE_POLL_SECONDS)
        return True

    def advance(self, by: timedelta) -> AdvanceResult:
        """Move the movable clock forward, and run what becomes due. Webhooks are called in real time.

        The engine's own sweeper waits meanwhile. Raises ValueError if the engine has no movable clock, and
        OverflowError if the new time is after the year 9999.
        """
        if self._movable_clock is None:
            raise ValueError("the clock of this engine cannot be moved")
        next_due = ConversationRepository(self.edges.table).next_due
        advance = Advance(self._movable_clock, next_due, self._sweep_due, self._run_steps, self._is_running)
        # Moving the clock can take seconds, so a request that does it must leave the event loop to other requests.
        return self.greenlets.off_loop(partial(self._advance, advance, by))

    def _advance(self, advance: Advance, by: timedelta) -> AdvanceResult:
        with self._sweep_lock:
            result = advance(by)
            self.table.remove_expired(result.now)
        return result

    def _is_running(self) -> bool:
        return not self._stopping

    def _run_steps(self) -> None:
        self._steps.run(self._is_running)

    def _sweep(self) -> None:
        """Process what is due. The first sweep also retries what an earlier process had put off."""
        with self._sweep_lock:
            self._sweep_due(self._sweep_until)
            self._sweep_until = None
            self.table.remove_expired(self.edges.now())
        self._wake_steps()

    def _sweep_due(self, until: datetime | None = None) -> int:
        return self.sweeper.sweep(until, go_on=self._is_running)

    def _wake_steps(self) -> None:
        self._wake_steps_runner()

    def _wake_deliveries(self) -> None:
        self._deliveries_thread.wake()
