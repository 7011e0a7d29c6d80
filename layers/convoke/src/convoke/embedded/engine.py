"""Run the whole program in one process, with the data in one SQLite file and the content of media in a folder."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from convoke.api.requests import CONVOKE_PREFIX
from convoke.api.routes import AccountRoute, PublicRoute
from convoke.config import Settings
from convoke.domain import instants
from convoke.domain.errors import UnavailableError
from convoke.domain.instants import Clock, Sleep
from convoke.domain.media import MAX_MEDIA_BYTES, CarrierCredentials
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.domain.receivers import ReceiverRules
from convoke.domain.senders import Provider
from convoke.domain.sids import NewSid, SidFactory
from convoke.domain.webhooks import Delivery
from convoke.embedded.admission import Admission
from convoke.embedded.chat.presence import ConnectedUsers
from convoke.embedded.clock import Advance, AdvanceResult, MovableClock
from convoke.embedded.console_api import console_key_route
from convoke.embedded.data_format import parse_synchronous
from convoke.embedded.deliveries import ConcurrentDeliveries, Deliveries
from convoke.embedded.gateway import ChatServing, ConversationWaiters, Gateway
from convoke.embedded.handover import (
    Execution,
    InMemoryParticipantQueue,
    InMemoryWorkflow,
    InProcessEventBus,
    SqliteDeliveryQueue,
)
from convoke.embedded.late_clients import LateMediaClient, LateTwilioCarrier, LateWebhookClient
from convoke.embedded.logs import HeldMetrics, hold_log_lines
from convoke.embedded.loops import SLICE_SECONDS, PeriodicThread, StepScheduler
from convoke.embedded.media_folder import MediaFolder
from convoke.embedded.missing_controls import (
    ACCOUNTS,
    CLOCK,
    CLOCK_OPTION,
    CONTROLS_OPTION,
    FAILURES,
    RESET,
    SETTLE,
    missing_routes,
)
from convoke.embedded.observation import Observers
from convoke.embedded.planned_failures import PlannedFailures
from convoke.embedded.queue import DeadLetterQueue, DurableQueue
from convoke.embedded.request_log import PATH, RequestLog
from convoke.embedded.request_runner import RequestRunner
from convoke.embedded.simulate_routes import Rule, simulate_routes
from convoke.embedded.simulated_carrier import PhonePlans, SimulatedCarrier
from convoke.embedded.sqlite import LOCK_TIMEOUT_SECONDS, SqliteTable
from convoke.embedded.steps import StateMachine, Steps, Waiting
from convoke.embedded.suspension import NeedsThreadError, RunAgainError
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import Metrics, NoMetrics
from convoke.operations.participant_adder import Admit
from convoke.operations.ports import (
    Carrier,
    CopyQueue,
    DeliveryQueue,
    EventBus,
    MediaClient,
    MediaStore,
    NobodyOnline,
    ParticipantQueue,
    Presence,
    WebhookClient,
    Workflow,
)
from convoke.operations.sweeper import Sweeper
from convoke.program import Program
from convoke.storage import keys
from convoke.storage.api_key_masters import ApiKeyMasters, ApiKeyMasterTable
from convoke.storage.auth_tokens import AuthTokens, AuthTokenTable
from convoke.storage.due import DueRepository
from convoke.storage.keys import is_streamed_to_consumers
from convoke.storage.sender_secrets import SenderSecrets, SenderSecretTable
from convoke.storage.table import Item, Table
from convoke.webhooks.answers import FetchedMedia, WebhookAnswer

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler, Endpoint

SWEEP_INTERVAL_SECONDS = 1.0

SHUTDOWN_GRACE_SECONDS = 3
"""The time that unfinished requests, steps and webhook calls still have after the engine begins to stop."""

SETTLE_POLL_SECONDS = 0.005

ANY_RECEIVER = ReceiverRules()
"""No restrictions. The embedded engine may call every receiver, including receivers in private networks."""

DELIVERY_POLL_SECONDS = 0.25
"""How often the engine checks whether queue messages in the delivery queue have become visible."""

CLOCK_STEP_SECONDS = 2.0
"""How far the wall clock may fall behind the monotonic clock between two sweeps.

If the wall clock falls behind further, the engine assumes that somebody has set the wall clock back.
"""


CONSOLE_POLL_SECONDS = 2
"""How often the console requests new events."""


@lean_dataclass
class EmbeddedEdges:
    """Implements `Edges` for the embedded engine."""

    table: Table
    auth_tokens: AuthTokens
    api_key_masters: ApiKeyMasters
    sender_secrets: SenderSecrets
    participant_queue: ParticipantQueue
    workflow: Workflow
    event_bus: EventBus
    delivery_queue: DeliveryQueue
    copy_queue: CopyQueue
    carriers: Mapping[Provider, Carrier]
    webhook_client: WebhookClient
    media_store: MediaStore
    media_client: MediaClient
    now: Clock
    sleep: Sleep
    new_sid: NewSid
    provisioning_retries: ProvisioningRetries
    receiver_rules: ReceiverRules = ANY_RECEIVER
    max_upload_bytes: int = MAX_MEDIA_BYTES
    public_url: str | None = None
    allowed_origins: tuple[str, ...] = ()
    admit: Admit | None = None
    presence: Presence = NobodyOnline()
    metrics: Metrics = NoMetrics()
    path_delimiters: str = ""
    console_poll_seconds: int | None = CONSOLE_POLL_SECONDS
    simulates_phones: bool = True


@lean_dataclass
class OffLoopWebhookClient:
    """A `WebhookClient` that never blocks the event loop.

    On the event loop's thread, `call` raises NeedsThreadError. `RequestRunner` then runs the request again on a worker
    thread.
    """

    client: WebhookClient
    is_on_loop: Callable[[], bool]

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        if self.is_on_loop():
            raise NeedsThreadError
        return self.client.call(
            delivery, retry_count=retry_count, auth_token=auth_token, max_answer_bytes=max_answer_bytes
        )


@lean_dataclass
class OffLoopMediaClient:
    """A `MediaClient` that never blocks the event loop. See `OffLoopWebhookClient`."""

    client: MediaClient
    is_on_loop: Callable[[], bool]

    def fetch(
        self, url: str, credentials: CarrierCredentials | None, seconds: float
    ) -> AbstractContextManager[FetchedMedia]:
        if self.is_on_loop():
            raise NeedsThreadError
        return self.client.fetch(url, credentials, seconds)


Rewire = Callable[[EmbeddedEdges], EmbeddedEdges]
"""A function with which a test replaces edges, such as the HTTP client. See `Edges` in program.py.

The argument contains the engine's own edges. The engine uses the edges that the function returns.
"""


class EmbeddedEngine:
    """Runs the program on one machine.

    `api` handles requests. A request can create background work: steps (embedded/steps.py), webhook deliveries and
    copies to phones. With an event loop, call `start` once, and the engine does the background work by itself. Without
    an event loop, call `work` after the requests.
    """

    def __init__(
        self,
        data: str,
        rewire: Rewire = lambda edges: edges,
        movable_clock: MovableClock | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
        *,
        reset: Callable[[], None] | None = None,
        observers: Observers | None = None,
    ) -> None:
        """Open the data file and build the program. Raise DataFileError if the data file cannot be used.

        - `data`: the path of the data file, or `:memory:`.
        - `rewire`: replaces edges. See `Rewire`.
        - `movable_clock`: if not None, the engine uses this clock, and the API has a resource that moves it.
        - `environ`: the settings for the provisioning retries, the allowed origins, the public URL and `synchronous`.
          The engine reads no other settings. An invalid setting raises ValidationError, InvalidOriginError,
          InvalidSettingError or DataFileError.
        - `lock_timeout`: the maximum number of seconds that a write waits while another process holds the write lock.
        - `reset`: if not None, the API has the test controls. `reset` must delete the data and replace this engine. See
          `Instance.reset`.
        - `observers`: if not None, these observers see finished requests, deliveries and calls of chat clients. See
          `Observer`.
        """
        now: Clock = movable_clock or instants.now
        settings = Settings(environ)
        self.is_data_file_gone = False
        """Whether somebody removed or replaced the data file while it was open."""
        self.on_data_file_gone: Callable[[], None] = lambda: None
        """Called once, when the engine finds that the data file is gone. This function must stop the server.

        Any thread can call the function.
        """
        self.table = SqliteTable(
            data,
            streamed=is_streamed_to_consumers,
            on_stream=self._stream_grew,
            on_changes=self._changed,
            on_failure=self._forget,
            on_gone=self._data_file_gone,
            lock_timeout=lock_timeout,
            synchronous=parse_synchronous(settings.synchronous),
        )
        self._lock_timeout = lock_timeout
        self.queue = DurableQueue(self.table, "delivery", now)
        self.dead_letters = DeadLetterQueue(self.table, "delivery", now)
        self.change_dead_letters = DeadLetterQueue(self.table, "change", now)
        self._participants: Waiting[Provisioning] = Waiting()
        self._executions: Waiting[Execution] = Waiting()
        self.failures = PlannedFailures()
        self._http_client = LateWebhookClient(ANY_RECEIVER)
        self._connected_users = ConnectedUsers()
        self._media_client = LateMediaClient(ANY_RECEIVER)
        self._twilio = LateTwilioCarrier(settings.public_url)
        self.media_folder = MediaFolder(data)
        self.phone_plans = PhonePlans()
        bus, queue = InProcessEventBus(), SqliteDeliveryQueue(self.queue, self._wake_deliveries)
        edges = rewire(
            EmbeddedEdges(
                table=self.table,
                auth_tokens=AuthTokenTable(self.table),
                api_key_masters=ApiKeyMasterTable(self.table),
                sender_secrets=SenderSecretTable(self.table),
                participant_queue=InMemoryParticipantQueue(self.table, self._take_participants),
                workflow=InMemoryWorkflow(self.table, self._take_execution),
                event_bus=bus,
                delivery_queue=queue,
                copy_queue=queue,
                carriers={
                    Provider.SIMULATED: SimulatedCarrier(self.table, self.phone_plans, now),
                    Provider.TWILIO: self._twilio,
                },
                public_url=settings.public_url,
                webhook_client=self._http_client,
                presence=self._connected_users,
                media_store=self.media_folder,
                media_client=self._media_client,
                now=now,
                sleep=time.sleep,
                new_sid=SidFactory(),
                provisioning_retries=ProvisioningRetries.model_validate(settings.provisioning_retries),
                allowed_origins=settings.allowed_origins,
                admit=self.failures.admit if reset else None,
            )
        )
        self.edges = replace(
            edges,
            webhook_client=OffLoopWebhookClient(edges.webhook_client, self._is_on_loop),
            media_client=OffLoopMediaClient(edges.media_client, self._is_on_loop),
            metrics=HeldMetrics(edges.metrics),
        )
        self._request_log = RequestLog(now, lambda path: self.api.is_public(path))
        routes: tuple[AccountRoute | PublicRoute, ...] = (
            console_key_route(lambda requested: self.program.console_codes.exchange(requested)),
            AccountRoute("GET", PATH, self._request_log_endpoint, CONVOKE_PREFIX),
            *simulate_routes(self._simulate_endpoints),
            *self._test_routes(movable_clock, reset),
        )
        self.program = Program(self.edges, routes)
        self.api, self.accounts = self.program.api, self.program.accounts
        self.sweeper = self._sweeper_without_held() if reset else self.program.sweeper
        self.steps = Steps(
            self._participants,
            self._executions,
            self.table,
            self.program.participant_adder,
            StateMachine(self.program.conversation_finalizer, self.edges.event_bus),
            self.edges.event_bus,
            self.change_dead_letters,
        )
        self.observers = Observers()
        """The observers of finished requests, deliveries and calls of chat clients. Callers can add more observers."""
        self.observers.add(self._request_log)
        if observers is not None:
            self.observers.add(observers)
        self._deliveries = Deliveries(
            self.queue, self.program.webhook_delivery, lambda: self.program.message_sender, self.observers
        )
        bus.targets.append(self._deliveries.accept)
        self._waiters = ConversationWaiters()
        self._tell_chat_clients: Callable[[Sequence[Item]], None] = lambda _: None
        """Called with the change records (see `Unit.changes`) of a commit, if the commit has any.

        Does nothing until the first chat client connects.
        """
        self._admission = Admission(self.steps.age)
        self._sweeper_loop = PeriodicThread("sweeper", self._sweep, SWEEP_INTERVAL_SECONDS)
        self._sweep_until: datetime | None = None
        self._movable_clock = movable_clock
        self._sweeping = Lock()
        self._stopping = False
        self._stop_until = 0.0
        """The end of the grace period on the monotonic clock. 0 until the engine begins to stop."""
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._scheduler: StepScheduler | None = None
        self._concurrent_deliveries: ConcurrentDeliveries | None = None
        self._clock_difference = 0.0
        hold_log_lines()

    def gateway(self, *, trust_forwarded: bool = False) -> Gateway:
        """Return an ASGI application that serves this engine."""
        runner = RequestRunner(self.table, self._admission, self._lock_timeout)

        def serve_chat() -> ChatServing:
            # Import here, when the first chat client connects. The import takes 80 ms and 2 MB of memory.
            from convoke.embedded.chat.serving import new_chat_server  # noqa: PLC0415 - see above

            server = new_chat_server(
                self.program,
                self.table,
                self._connected_users,
                runner,
                self.observers,
                trust_forwarded=trust_forwarded,
            )
            self._tell_chat_clients = server.changed
            return server

        return Gateway(
            self.api,
            runner,
            self.begin_stop,
            self._waiters,
            self.observers,
            serve_chat,
            trust_forwarded=trust_forwarded,
        )

    def start(self) -> None:
        """Start the background work on the running event loop, and continue unfinished work of the previous process.

        Call this method on the event loop's thread. After that, only this thread may use the connection to the data
        file.
        """
        loop = self._event_loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self.table.attach(loop)
        scheduler = self._scheduler = StepScheduler(loop, self.steps)
        self._admission.request_arrived = scheduler.request_arrived
        self._admission.request_answered = scheduler.request_answered
        self._concurrent_deliveries = ConcurrentDeliveries(self._deliveries, loop, self.edges.now)
        self._clock_difference = _clock_difference()
        with suppress(Exception, RunAgainError):
            # This call fails if another process holds the write lock. A queue message that the previous process has
            # received then stays invisible until the end of its visibility timeout.
            self.queue.make_received_visible()
        self._sweep_until = self.edges.now() + self.edges.provisioning_retries.max_pause
        scheduler.wake()
        self._poll_deliveries()
        self._sweeper_loop.start()
        self._sweeper_loop.wake()

    def begin_stop(self) -> None:
        """Start the grace period. From now on, no delivery starts, and requests with `Prefer: wait` stop waiting.

        Call this method on the event loop's thread. Further calls do nothing.
        """
        if not self._stopping:
            self._stopping = True
            self._stop_until = time.monotonic() + SHUTDOWN_GRACE_SECONDS
            self._waiters.end()
            if self._concurrent_deliveries:
                self._concurrent_deliveries.begin_stop()

    async def stop(self) -> None:
        """Finish the running work, end the engine's threads and close the data file.

        Work that takes longer than the grace period stays unfinished in the data file. The next process continues this
        work. The data file is closed even if another part of the stop fails.
        """
        self.begin_stop()
        try:
            if self._scheduler:
                self._scheduler.stop()
            if self._concurrent_deliveries:
                await self._concurrent_deliveries.stop(self._stop_until - time.monotonic(), self._cut_calls)
            # A request on a worker thread may still be waiting for a receiver of pre-events. End its call too.
            self._cut_calls()
            # The sweeper may be waiting for this event loop, so stop the sweeper on another thread.
            await asyncio.to_thread(self._sweeper_loop.stop)
            self.table.detach()
            # The steps fail here if another process holds the write lock or the disk is full. The next process then
            # runs the steps.
            with suppress(UnavailableError):
                self.steps.run_all(self._stop_until)
        finally:
            self.close()

    async def abandon(self) -> None:
        """End the engine's threads and close the data file, but do not finish the running work."""
        self.begin_stop()
        if self._scheduler:
            self._scheduler.stop()
        if self._concurrent_deliveries:
            self._concurrent_deliveries.abandon()
        # The sweeper may be waiting for this event loop, so stop the sweeper on another thread.
        await asyncio.to_thread(self._sweeper_loop.stop)
        self.table.detach()
        self.close()
        # Cut the calls only after the data file is closed. A request that waits for a receiver then fails, and stores
        # nothing.
        self._cut_calls()

    def _cut_calls(self) -> None:
        """End all calls to receivers, carriers and the servers of media."""
        self._http_client.cut()
        self._media_client.cut()
        self._twilio.cut()

    def close(self) -> None:
        """Close the data file. If the data is in memory, also remove the temporary media folder."""
        self.table.close()
        self.media_folder.close()

    def work(self) -> None:
        """Run all waiting steps and deliveries on the calling thread. Postponed deliveries do not run.

        Call this method only if the engine has no event loop.
        """
        self.steps.run_all()
        self._deliveries.run()
        # Sending a copy of a message to a phone causes an event. The event causes further steps and deliveries.
        while self.steps.are_waiting:
            self.steps.run_all()
            self._deliveries.run()

    def settle(self, timeout: float) -> bool:
        """Run the waiting steps until no step waits and the delivery queue is empty. Return whether this was reached.

        Give up after `timeout` seconds, or if the engine stops. This method does not wait for conversations that a test
        holds (planned_failures.py).
        """
        if self._is_on_loop():
            raise NeedsThreadError
        until = time.monotonic() + timeout
        self._finish()
        # Sending a copy of a message to a phone causes an event. The event causes further steps and deliveries.
        while not self.queue.is_empty() or self.steps.are_waiting:
            if time.monotonic() > until or not self._goes_on():
                return False
            time.sleep(SETTLE_POLL_SECONDS)
            self._finish()
        return True

    def advance(self, by: timedelta) -> AdvanceResult:
        """Move the movable clock forward, and do all work that becomes due on the way.

        While a webhook is called, the clock stands still. No periodic sweep runs during the move. Raise ValueError if
        the engine has no movable clock. Raise OverflowError if the new time is after the year 9999.
        """
        if self._movable_clock is None:
            raise ValueError("the clock of this engine cannot be moved")
        if self._is_on_loop():
            raise NeedsThreadError
        advance = Advance(self._movable_clock, self._next_due, self._attend, self._finish, self._deliver, self._goes_on)
        with self._sweeping:
            advanced = advance(by)
            self.table.remove_expired(advanced.now)
        self._wake_deliveries_from_thread()
        return advanced

    def cancel_failures(self, account_sid: str) -> None:
        """Cancel the failures that a test has planned for an account's next conversation.

        Also release the account's conversations that the test holds.
        """
        for provisioning in self.failures.cancel(account_sid):
            self.table.run(partial(self._take_participants, provisioning))

    def _simulate_endpoints(self) -> Mapping[Rule, Endpoint[AccountHandler]]:
        # Import here, at the first request about a simulated phone. At the start, the import would take 4 % of the CPU
        # instructions of the start.
        from convoke.embedded.simulate_api import simulate_endpoints  # noqa: PLC0415 - see above

        return simulate_endpoints(lambda: self.program.simulator, self.phone_plans)

    def _request_log_endpoint(self) -> Endpoint[AccountHandler]:
        # Import here, at the first request for the request log. At the start, the import would take 1 % of the CPU
        # instructions of the start.
        from convoke.embedded.request_log_api import request_log_endpoint  # noqa: PLC0415 - see above

        return request_log_endpoint(self._request_log, self.api.rule_of)

    def _sweeper_without_held(self) -> Sweeper:
        """Return a copy of the program's sweeper. The copy skips the conversations that a test holds."""
        sweeper = self.program.sweeper
        conversations = self.failures.unless_held(sweeper.processes[keys.CONVERSATION])
        return replace(sweeper, processes={**sweeper.processes, keys.CONVERSATION: conversations})

    def _test_routes(self, clock: MovableClock | None, reset: Callable[[], None] | None) -> tuple[AccountRoute, ...]:
        """Return the routes of the clock and of the test controls.

        Without a `clock`, the route of the clock answers 404. Without a `reset`, the test controls answer 404.
        """
        if clock is None:
            moves = missing_routes((CLOCK,), f"{CLOCK_OPTION} or {CONTROLS_OPTION}")
        else:
            # Only instances for tests need these modules. Importing them takes 1 % of the instructions of a start.
            from convoke.embedded.clock_api import clock_routes  # noqa: PLC0415 - see above

            moves = clock_routes(clock, self.advance)
        if reset is None:
            return (*moves, *missing_routes((RESET, ACCOUNTS, SETTLE, FAILURES), CONTROLS_OPTION))
        from convoke.embedded.controls_api import Controls, control_routes  # noqa: PLC0415 - see above

        controls = Controls(
            reset=partial(self._off_loop, reset),
            settle=lambda timeout: self.settle(timeout.total_seconds()),
            reject_in_next=self.failures.reject_in_next,
            hold_next=self.failures.hold_next,
            cancel_failures=self.cancel_failures,
        )
        return (*moves, *control_routes(controls))

    def _off_loop(self, function: Callable[[], None]) -> None:
        if self._is_on_loop():
            raise NeedsThreadError
        function()

    def _next_due(self, after: datetime) -> datetime | None:
        deliveries = self._concurrent_deliveries
        moments = (
            DueRepository(self.edges.table).next_due(after),
            self.queue.next_visible(after, excluded=self._deliveries_under_way()),
            self.table.run(partial(deliveries.next_end_of_pause, after)) if deliveries else None,
        )
        return min((moment for moment in moments if moment), default=None)

    def _deliver(self) -> None:
        """Wait until no delivery is running, and no further delivery can start at the clock's present time."""
        deliveries = self._concurrent_deliveries
        while deliveries and self._goes_on() and not self.table.run(deliveries.is_idle):
            self._wake_deliveries_from_thread()
            time.sleep(SETTLE_POLL_SECONDS)

    def _deliveries_under_way(self) -> list[int]:
        return self._concurrent_deliveries.under_way if self._concurrent_deliveries else []

    def _is_on_loop(self) -> bool:
        return self._loop_thread == threading.get_ident()

    def _goes_on(self) -> bool:
        return not self._stopping

    def _finish(self) -> None:
        """Run the waiting steps. On an event loop, other work can run after every SLICE_SECONDS."""
        while self.steps.are_waiting and self._goes_on():
            self.table.run(partial(self._run_slice))

    def _run_slice(self) -> None:
        self.steps.run(until=time.monotonic() + SLICE_SECONDS)

    def _sweep(self) -> None:
        """Check the data file and the clock, process the resources that are due, and remove expired items.

        The first sweep, and a sweep after somebody has set the clock back, also run retries that are not yet due.
        """
        self.table.check_data_file()
        self._watch_clock()
        with self._sweeping:
            until, self._sweep_until = self._sweep_until, None
            self._attend(until)
            self.table.remove_expired(self.edges.now())

    def _watch_clock(self) -> None:
        """If somebody has set the wall clock back, make postponed deliveries and retries due now.

        Otherwise the deliveries and retries would wait until the wall clock reaches their due times again.
        """
        difference = _clock_difference()
        step_back = self._clock_difference - difference
        if step_back > CLOCK_STEP_SECONDS:
            # Run this call on the event loop's thread, so that no delivery starts or ends meanwhile.
            self.table.run(lambda: self.queue.make_received_visible(self._deliveries_under_way()))
            # The due times come from the wall clock before it was set back, so add the difference.
            planned = self.edges.now() + timedelta(seconds=step_back)
            self._sweep_until = planned + self.edges.provisioning_retries.max_pause
        self._clock_difference = difference

    def _attend(self, until: datetime | None = None) -> int:
        return self.sweeper.sweep(until, go_on=self._goes_on)

    # The table and the edges call the methods from `_take_participants` to `_forget` on the thread that owns the table.
    # The table can call `_data_file_gone` on any thread.

    def _take_participants(self, provisioning: Provisioning) -> None:
        if not self.failures.apply(provisioning):
            self._participants.append(provisioning)
            self._wake_steps()

    def _take_execution(self, execution: Execution) -> Callable[[], None]:
        take_back = self._executions.append(execution)
        self._wake_steps()
        return take_back

    def _stream_grew(self, records: int) -> None:
        self.steps.stream.grew(records)
        self._wake_steps()

    def _changed(self, changes: Sequence[Item]) -> None:
        self._waiters.changed(changes)
        self._tell_chat_clients(changes)

    def _forget(self) -> None:
        """Reset the state in memory after a unit of work (the writes of one commit, see unit.py) was dropped.

        The caches may contain data of the dropped unit. If the dropped unit published records of the stream, these
        records are still in the stream, and must be published again.
        """
        self.program.clear_caches()
        self.steps.stream.may_have_records = True
        if self._scheduler:
            self._scheduler.pause()

    def _data_file_gone(self) -> None:
        if not self.is_data_file_gone:
            self.is_data_file_gone = True
            self.on_data_file_gone()

    def _wake_steps(self) -> None:
        if self._scheduler:
            self._scheduler.wake()

    def _wake_deliveries(self) -> None:
        if self._concurrent_deliveries:
            self._concurrent_deliveries.wake()

    def _wake_deliveries_from_thread(self) -> None:
        if self._event_loop and not self._is_on_loop():
            with suppress(RuntimeError):
                self._event_loop.call_soon_threadsafe(self._wake_deliveries)

    def _poll_deliveries(self) -> None:
        if self._event_loop and not self._stopping:
            self._wake_deliveries()
            self._event_loop.call_later(DELIVERY_POLL_SECONDS, self._poll_deliveries)


def _clock_difference() -> float:
    """Return how far the wall clock is ahead of the monotonic clock, in seconds."""
    return time.time() - time.monotonic()
