"""Process the delivery queue: split events into deliveries and copies, and call receivers and carriers.

A delivery goes to the receiver of a webhook. A copy of a message goes through a carrier to a phone. A line is a
business address and a phone. In this module, a line is also a receiver. A line gets one copy at a time, in order. Most
texts below say "delivery" for both deliveries and copies.

With an event loop, only the event loop's thread uses the table and the queue, and a thread pool calls the receivers.
The receivers take turns, and a receiver that does not answer occupies only a few threads. If several calls to a
receiver fail in a row, a circuit breaker pauses the deliveries to this receiver.

See docs/how-it-works.md#promise-7-a-failing-receiver-hurts-only-itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.domain.circuit_breakers import CLOSED, CircuitBreaker, account_sid_of, is_line
from convoke.domain.copies import Copy
from convoke.domain.errors import UnavailableError
from convoke.domain.events import Event
from convoke.domain.instants import Clock
from convoke.domain.pauses import own_failure_pause_seconds
from convoke.domain.webhooks import Delivery, receiver_of
from convoke.embedded.observation import FinishedDelivery, Observers
from convoke.embedded.pauses import growing_pause
from convoke.embedded.queue import NO_RECEIVER, VISIBILITY_TIMEOUT_SECONDS, DurableQueue, ReceivedMessage
from convoke.embedded.suspension import RUN_AGAIN_PAUSE_SECONDS, RunAgainError
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import RetryLaterError
from convoke.operations.webhook_delivery import (
    BegunDelivery,
    DeliveryFailedError,
    Outcome,
    WebhookDelivery,
    report_pause,
    without_continuation,
)

if TYPE_CHECKING:
    from convoke.operations.message_sender import BegunCopy, CopyOutcome, MessageSender

    Begun = BegunDelivery | BegunCopy
    AnyOutcome = Outcome | CopyOutcome

logger = logging.getLogger(__name__)

MAX_CONCURRENT_DELIVERIES = 32
MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT = 16
MAX_CONCURRENT_DELIVERIES_PER_RECEIVER = 4

EVENTS_PER_TICK = 8
"""The maximum number of events from the delivery queue that are split in one tick of the event loop.

In each tick, the engine first splits events and then starts deliveries, so events never wait for deliveries.
"""

MAX_STARTS_PER_TICK = 32
"""The maximum number of deliveries that begin in one tick of the event loop.

A delivery that fails before the call to the receiver also counts.
"""

MAX_CIRCUIT_BREAKERS = 10_000
"""The maximum number of circuit breakers in memory. This number of circuit breakers uses about 2.5 MB.

If there are more, the engine removes the circuit breaker whose last failure is the oldest. The pause of this circuit
breaker is probably over, because no pause is longer than a minute.
"""

CUT_SECONDS = 1.0
"""How long the engine waits for calls to end after it has cut the connections."""

OWN_FAILURE_RETRY_SECONDS = 5.0
"""How long all deliveries pause after the first failure of Convoke itself. See `growing_pause` for further failures.

Here, a failure means that a unit of work (embedded/unit.py) was dropped, or that the queue cannot be read.

A single queue message is postponed by the same time if its processing fails because the data file cannot be used.
"""

AFTER_RECEIVERS = "!"
"""An Account SID with this suffix sorts after the keys of all receivers of the account.

In these keys, a space follows the Account SID, and a space sorts before `!`.
"""

FAILED_IN_CONVOKE = "a webhook delivery failed in Convoke"

POSTPONED = "a webhook delivery was postponed, because the data file cannot be used"

MESSAGE: TypeAdapter[Delivery | Copy | Event] = TypeAdapter(
    Delivery | Copy | Event, config=ConfigDict(hide_input_in_errors=True, defer_build=True)
)
"""Parses the body of a queue message in the delivery queue. The body is a delivery, a copy or an event."""


@lean_dataclass
class Deliveries:
    """Handles the queue messages of the delivery queue, on the calling thread."""

    queue: DurableQueue
    delivery: WebhookDelivery
    message_sender: Callable[[], MessageSender]
    """Returns the message sender. The first call imports its modules."""
    observers: Observers = field(default_factory=Observers)

    def run(self) -> None:
        """Handle all visible queue messages, one after the other."""
        while message := self._next():
            with self.queue.table.unit():
                begun = self.begin(message)
            if begun:
                outcome = self.call(begun)
                with self.queue.table.unit():
                    self.finish(message, begun, outcome) if outcome else self.fail(message)

    def begin(self, message: ReceivedMessage) -> Begun | None:
        """Split the event in a queue message, or begin an attempt to send the delivery or copy in the queue message.

        Return the begun delivery or copy, which the caller must pass to `call`. Return None if there is nothing to
        call.
        """
        return self._settled(message, partial(self._begin, message))

    def call(self, begun: Begun) -> AnyOutcome | None:
        """Call the receiver or the carrier, and return the outcome. Return None if Convoke itself fails.

        Any thread may call this method.
        """
        try:
            if isinstance(begun, BegunDelivery):
                return self.delivery.call(begun)
            return self.message_sender().call(begun)
        except Exception:
            logger.exception(FAILED_IN_CONVOKE)
            return None

    def finish(
        self,
        message: ReceivedMessage,
        begun: Begun,
        outcome: AnyOutcome,
        paused_until: datetime | None = None,
    ) -> None:
        """Record the outcome of a call.

        After that, delete the queue message, make it visible again later, or move it to the dead-letter queue.
        `paused_until` is the end of the receiver's pause, if a circuit breaker pauses the deliveries to the receiver.
        """
        self._settled(message, partial(self._finish, message, begun, outcome, paused_until))
        if self.observers and isinstance(begun, BegunDelivery) and isinstance(outcome, Outcome):
            finished = FinishedDelivery(begun, outcome)
            self.queue.table.after_commit(partial(self.observers.delivery_finished, finished))

    def fail(self, message: ReceivedMessage) -> None:
        """Postpone a queue message after a failure of Convoke itself. The failure does not count as a delivery attempt.

        After the last permitted failure, move the queue message to the dead-letter queue.
        """
        try:
            self._fail(message)
        except UnavailableError:
            logger.exception(POSTPONED)
            self.queue.return_uncounted(message, OWN_FAILURE_RETRY_SECONDS)

    def _fail(self, message: ReceivedMessage) -> None:
        pause = own_failure_pause_seconds(message.failures + 1)
        if pause is not None:
            self.queue.return_failed(message, pause)
            return
        match MESSAGE.validate_json(message.body):
            case Copy() as copy:
                self.message_sender().give_up(copy)
            case Delivery() | Event() as failed:
                self.delivery.report_own_failure(failed)
        logger.error("a queue message was given up after %s failures of Convoke", message.failures + 1)
        self.queue.dead_letter(message, without_continuation(message.body))

    def interrupt(self, message: ReceivedMessage, begun: Begun, outcome: AnyOutcome | None) -> None:
        """Make a queue message visible again, because the shutdown has ended or prevented the call to the receiver.

        The attempt does not count. Exception: if the carrier may have received a copy, the copy keeps the status
        `sending`, and the attempt counts. `outcome` is None if there was no call, or if Convoke itself failed.
        """
        if not isinstance(begun, BegunDelivery):
            is_unknown = outcome is not None and not isinstance(outcome, Outcome) and outcome.is_unknown
            if not is_unknown:
                self.message_sender().undo(begun)
        self.queue.return_uncounted(message, 0)

    def accept(self, event: Event) -> None:
        """Split an event from the event bus. If Convoke fails to split the event, enqueue the event itself.

        The delivery queue then retries the event, so the event does not block later events of the stream. Raise
        UnavailableError if the data file cannot be used.
        """
        try:
            self._split(event)
        except UnavailableError:
            raise
        except Exception:
            logger.exception("an event could not be split and will be tried again", extra={"event_id": event.id})
            self.delivery.queue.send([event])

    def _split(self, event: Event) -> None:
        # Split the copies first. If splitting the deliveries then fails, the event is split again, and the copies are
        # enqueued twice. A copy that is enqueued twice is sent once. But a delivery that is enqueued twice would call
        # the receiver twice.
        if event.copies:
            self.message_sender().split(event)
        self.delivery.split(event)

    def _next(self) -> ReceivedMessage | None:
        for receiver in (NO_RECEIVER, *self.queue.receivers()):
            in_order = is_line(receiver)
            if _is_ready(self.queue, receiver) and (message := self.queue.receive(receiver, in_order=in_order)):
                return message
        return None

    def _begin(self, message: ReceivedMessage) -> Begun | None:
        match MESSAGE.validate_json(message.body):
            case Event() as event:
                self._split(event)
                self.queue.delete(message)
                return None
            case Copy() as copy:
                begun = self.message_sender().begin(copy)
                if begun is None:
                    self.queue.delete(message)
                return begun
            case Delivery() as delivery:
                return self.delivery.begin(delivery, message.receive_count)

    def _finish(
        self, message: ReceivedMessage, begun: Begun, outcome: AnyOutcome, paused_until: datetime | None
    ) -> None:
        if isinstance(begun, BegunDelivery) and isinstance(outcome, Outcome):
            self.delivery.finish(begun, outcome, paused_until)
        elif not isinstance(begun, BegunDelivery) and not isinstance(outcome, Outcome):
            self.message_sender().finish(begun, outcome)
        self.queue.delete(message)

    def _settled(self, message: ReceivedMessage, handle: Callable[[], Begun | None]) -> Begun | None:
        """Call `handle`, and return the result of `handle`.

        If `handle` raises an error, postpone the queue message or move it to the dead-letter queue, and return None.

        A failure of Convoke itself increases `message.failures`, but does not count as a delivery attempt. If the data
        file cannot be used, nothing is counted.
        """
        try:
            return handle()
        except RetryLaterError as error:
            self.queue.change_visibility(message, error.seconds)
        except (DeliveryFailedError, ValidationError) as error:
            logger.error("a webhook delivery was given up: %s", error, extra=_subject(message))  # noqa: TRY400 - no traceback
            self.queue.dead_letter(message, without_continuation(message.body))
        except UnavailableError:
            logger.exception(POSTPONED)
            self.queue.return_uncounted(message, OWN_FAILURE_RETRY_SECONDS)
        except Exception:
            logger.exception(FAILED_IN_CONVOKE)
            self.fail(message)
        return None


def _is_ready(queue: DurableQueue, receiver: str) -> bool:
    """Return whether the next visible queue message to a receiver may be handled.

    If the receiver is a line (a business address and a phone), a postponed queue message blocks the later queue
    messages to this receiver, because the phone must get the messages in order.
    """
    return not is_line(receiver) or queue.is_first_visible(receiver)


def _subject(message: ReceivedMessage) -> dict[str, str]:
    """Return the event and the receiver of a delivery, for a log line. Return {} if the body is not a delivery."""
    try:
        delivery = Delivery.model_validate_json(message.body)
    except ValidationError:
        return {}
    event = delivery.event
    return {"event_type": event.type, "event_id": event.id, "receiver": receiver_of(delivery.url)}


class ConcurrentDeliveries:
    """Schedules deliveries on an event loop. Worker threads call the receivers."""

    def __init__(self, deliveries: Deliveries, loop: asyncio.AbstractEventLoop, now: Clock) -> None:
        self._deliveries = deliveries
        self._queue = deliveries.queue
        self._table = deliveries.queue.table
        self._loop = loop
        self._now = now
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT_DELIVERIES, thread_name_prefix="delivery")
        self._accounts: Counter[str] = Counter()
        self._receivers: Counter[str] = Counter()
        self._under_way: dict[int, tuple[ReceivedMessage, datetime]] = {}
        """The queue messages whose receivers are being called, or will be called after the commit of the unit.

        The key is the id of the queue message. Each value is a pair: the queue message, and the time at which the queue
        message becomes visible again.
        """
        self._breakers: dict[str, CircuitBreaker] = {}
        """Maps each receiver to its circuit breaker, if the circuit breaker is open or has counted failures.

        The receiver whose last failure is the oldest comes first.
        """
        self._last_receiver = ""
        self._woken = False
        self._pause: asyncio.TimerHandle | None = None
        """The timer that ends the pause after a failure. None if there is no pause."""
        self._failures = 0
        """How many failures of Convoke itself occurred in a row."""
        self._stopping = False
        self._is_abandoned = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def under_way(self) -> list[int]:
        """The ids of the queue messages whose receivers are being called, or will be called after the commit."""
        return [*self._under_way]

    def is_idle(self) -> bool:
        """Return whether no call is running, and no event and no delivery can be handled at the clock's present time.

        Return True also while the engine stops, or while all deliveries pause after a failure of Convoke itself.
        """
        if self._stopping or self._pause is not None:
            return True
        now, queue = self._now(), self._queue
        may_start = any(self._may_start(receiver, now) for receiver in queue.receivers())
        return not (self._receivers or may_start or queue.has_visible_to(NO_RECEIVER))

    def next_end_of_pause(self, after: datetime) -> datetime | None:
        """Return the first time later than `after` at which the pause of a receiver ends.

        Consider only receivers with a visible queue message. Return None if no pause of these receivers ends later.
        """
        ends = (self._breakers.get(receiver, CLOSED).open_until for receiver in self._queue.receivers())
        return min((end for end in ends if end is not None and end > after), default=None)

    def wake(self) -> None:
        """Check the delivery queue in the next tick. Only the event loop's thread may call this method.

        Do nothing while the engine stops, or while all deliveries pause after a failure of Convoke itself.
        """
        if not self._woken and not self._stopping and self._pause is None:
            self._woken = True
            self._loop.call_soon(self._schedule)

    def begin_stop(self) -> None:
        """Start no more calls to receivers."""
        self._stopping = True
        if self._pause is not None:
            self._pause.cancel()

    async def stop(self, grace_seconds: float, cut: Callable[[], None]) -> None:
        """Start no more calls to receivers. Wait at most `grace_seconds` for the running calls to end.

        If calls are still running after that, call `cut`, which must end them. If a call still does not end, the next
        start of the engine makes its queue message visible again.
        """
        self.begin_stop()
        try:
            if not await self._is_idle_within(grace_seconds):
                cut()
                await self._is_idle_within(CUT_SECONDS)
        finally:
            self._pool.shutdown(wait=False)

    def abandon(self) -> None:
        """Start no more calls to receivers, and ignore the outcomes of running calls."""
        self.begin_stop()
        self._is_abandoned = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _is_idle_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _schedule(self) -> None:
        self._woken = False
        if self._stopping or self._pause is not None:
            return
        try:
            if not self._queue.has_visible():
                return
            self._table.begin()
            self._hide_messages_under_way()
            self._queue.make_due_visible()
            more = self._split_events()
            more = self._start_deliveries() or more
        except RunAgainError:
            self._loop.call_later(RUN_AGAIN_PAUSE_SECONDS, self.wake)
        except Exception:
            logger.exception("the delivery queue cannot be read; Convoke will try again")
            self._back_off()
        else:
            self._table.after_commit(self._succeeded)
            if more:
                self.wake()

    def _hide_messages_under_way(self) -> None:
        """Keep each queue message invisible while its receiver is being called.

        A queue message becomes visible too early if a test moves the clock past the visibility timeout. The same
        happens if somebody sets the clock back by about MAX_PAUSE_SECONDS (queue.py) or more.
        """
        now = self._now()
        latest = now + timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS)
        for message, visible_at in [*self._under_way.values()]:
            if not now < visible_at <= latest:
                self._queue.change_visibility(message, VISIBILITY_TIMEOUT_SECONDS)
                self._under_way[message.id] = message, latest

    def _split_events(self) -> bool:
        """Split at most `EVENTS_PER_TICK` events into deliveries and copies.

        Return whether more visible events may remain.
        """
        for _ in range(EVENTS_PER_TICK):
            if (message := self._queue.receive_ready(NO_RECEIVER)) is None:
                return False
            self._deliveries.begin(message)
        return True

    def _start_deliveries(self) -> bool:
        """Start at most `MAX_STARTS_PER_TICK` deliveries. Return whether more deliveries may be ready to start.

        The receivers take turns: each receiver gets one delivery in each round.
        """
        now, starts = self._now(), 0
        receivers: Iterable[str] = self._receivers_in_turn()
        while self._receivers.total() < MAX_CONCURRENT_DELIVERIES:
            started = []
            for receiver in receivers:
                if self._start_next(receiver, now):
                    started.append(receiver)
                    starts += 1
                    if starts == MAX_STARTS_PER_TICK:
                        return True
                if self._receivers.total() >= MAX_CONCURRENT_DELIVERIES:
                    return False
            if not started:
                return False
            # The receivers that got no delivery in this round get none in the next round either.
            receivers = started
        return False

    def _start_next(self, receiver: str, now: datetime) -> bool:
        """Start the next delivery to a receiver. Return False if no delivery can start now."""
        if not self._is_next(receiver, now):
            return False
        if is_line(receiver):
            # An earlier copy of the line may have become visible since the start of the tick. Then `_is_next` has seen
            # this copy, but `receive_ready` would not find it, and would return a later copy.
            self._queue.make_due_visible(receiver)
        message = self._queue.receive_ready(receiver, in_order=is_line(receiver))
        if message is None:
            return False
        self._last_receiver = receiver
        self._start(message)
        return True

    def _is_next(self, receiver: str, now: datetime) -> bool:
        """Return whether a delivery to a receiver may start now.

        If the first copy of a line is postponed, hide the later copies until the first copy is visible.
        """
        may_start = self._may_start(receiver, now)
        if not may_start and is_line(receiver) and not self._receivers[receiver]:
            self._queue.hold_back(receiver)
        return may_start

    def _receivers_in_turn(self) -> Iterator[str]:
        """Yield the receivers that have visible queue messages. Start after the last receiver that was called.

        Skip the receivers of an account that has the maximum number of concurrent calls.
        """
        last = self._last_receiver
        yield from self._receivers_between(last, None)
        yield from self._receivers_between(NO_RECEIVER, last)

    def _receivers_between(self, after: str, end: str | None) -> Iterator[str]:
        """Yield the receivers after `after`, until the receiver `end` or the last receiver. See `_receivers_in_turn`.

        The receivers are read in pages, because there can be thousands of receivers, and most ticks need only the first
        page.
        """
        while True:
            page = self._queue.next_receivers(after, MAX_STARTS_PER_TICK)
            for receiver in page:
                if end is not None and receiver > end:
                    return
                account_sid = account_sid_of(receiver)
                if self._accounts[account_sid] < MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT:
                    yield receiver
                    after = receiver
                else:
                    after = f"{account_sid}{AFTER_RECEIVERS}"
            if len(page) < MAX_STARTS_PER_TICK:
                return

    def _may_start(self, receiver: str, now: datetime) -> bool:
        under_way = self._receivers[receiver]
        limit = 1 if is_line(receiver) else MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
        return (
            under_way < limit
            and self._accounts[account_sid_of(receiver)] < MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT
            and _is_ready(self._queue, receiver)
            and self._breakers.get(receiver, CLOSED).allows(now, under_way=under_way)
        )

    def _start(self, message: ReceivedMessage) -> None:
        begun = self._deliveries.begin(message)
        if begun is None:
            return
        self._count(message, 1)
        # Call the receiver only after the commit, because the attempt must be stored before the call.
        self._table.after_commit(partial(self._call, message, begun))
        self._table.on_failure(partial(self._dropped, message))

    def _call(self, message: ReceivedMessage, begun: Begun) -> None:
        if self._stopping:
            self._finish(message, begun, None)
        else:
            self._pool.submit(self._call_receiver, message, begun)

    def _call_receiver(self, message: ReceivedMessage, begun: Begun) -> None:
        outcome = self._deliveries.call(begun)
        self._loop.call_soon_threadsafe(self._finish, message, begun, outcome)

    def _finish(self, message: ReceivedMessage, begun: Begun, outcome: AnyOutcome | None) -> None:
        if self._is_abandoned:
            return
        try:
            self._table.begin()
        except RunAgainError:
            self._loop.call_later(RUN_AGAIN_PAUSE_SECONDS, self._finish, message, begun, outcome)
            return
        except Exception:
            # The queue message becomes visible again after its visibility timeout.
            logger.exception("the outcome of a webhook delivery is lost; the delivery will be repeated")
            self._dropped(message)
            return
        # Register both functions before any statement that can fail. Otherwise, after an error, the counters would
        # count this queue message forever, and the receiver would get fewer concurrent calls.
        self._table.after_commit(partial(self._done, message))
        self._table.on_failure(partial(self._dropped, message))
        try:
            self._settle(message, begun, outcome)
        except Exception:
            logger.exception("the outcome of a webhook delivery is lost; the delivery will be repeated")

    def _settle(self, message: ReceivedMessage, begun: Begun, outcome: AnyOutcome | None) -> None:
        if self._stopping and (outcome is None or not outcome.is_answered):
            # The shutdown ended or prevented the call. `interrupt` determines whether the attempt counts.
            self._deliveries.interrupt(message, begun, outcome)
        elif outcome is None:
            self._deliveries.fail(message)
        else:
            self._deliveries.finish(message, begun, outcome, self._record(message.receiver, outcome))

    def _record(self, receiver: str, outcome: AnyOutcome) -> datetime | None:
        """Update the circuit breaker of a receiver. Return the end of the receiver's pause, or None without a pause.

        A retryable outcome is a failure. Any other outcome sets the number of failures in a row to 0.
        """
        # Remove the circuit breaker and add it again, so that it becomes the last entry.
        breaker = self._breakers.pop(receiver, CLOSED).after(self._now(), is_failure=outcome.is_retryable)
        if breaker != CLOSED:
            self._breakers[receiver] = breaker
        if len(self._breakers) > MAX_CIRCUIT_BREAKERS:
            del self._breakers[next(iter(self._breakers))]
        report_pause(receiver, breaker)
        return breaker.open_until

    def _count(self, message: ReceivedMessage, step: int) -> None:
        if step > 0:
            visible_at = self._now() + timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS)
            self._under_way[message.id] = message, visible_at
        else:
            self._under_way.pop(message.id, None)
        for counter, key in ((self._accounts, message.account_sid), (self._receivers, message.receiver)):
            counter[key] += step
            if not counter[key]:
                del counter[key]
        if self._receivers:
            self._idle.clear()
        else:
            self._idle.set()

    def _done(self, message: ReceivedMessage) -> None:
        self._count(message, -1)
        self.wake()

    def _dropped(self, message: ReceivedMessage) -> None:
        """Count the call as ended, and pause all deliveries, because the next unit would probably fail too.

        The table calls this method after it drops the unit that begins or finishes the delivery. `_finish` calls this
        method if it cannot open a unit.
        """
        self._count(message, -1)
        self._back_off()

    def _back_off(self) -> None:
        if self._pause is None and not self._stopping:
            self._failures += 1
            seconds = growing_pause(OWN_FAILURE_RETRY_SECONDS, self._failures)
            self._pause = self._loop.call_later(seconds, self._resume)

    def _succeeded(self) -> None:
        self._failures = 0

    def _resume(self) -> None:
        self._pause = None
        self.wake()
