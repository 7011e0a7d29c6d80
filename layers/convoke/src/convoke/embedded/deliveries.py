"""Work off the delivery queue: table and queue on the event loop's thread, calls to receivers on a pool of threads.

Receivers take turns. A receiver that hangs holds a limited number of threads, and after several failures in a row its
circuit breaker pauses it. See docs/how-it-works.md#promise-7-a-failing-receiver-hurts-only-itself.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.domain.circuit_breakers import CLOSED, CircuitBreaker
from convoke.domain.errors import UnavailableError
from convoke.domain.events import Event
from convoke.domain.instants import Clock
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import NO_RECEIVER, VISIBILITY_TIMEOUT_SECONDS, DurableQueue, ReceivedMessage
from convoke.embedded.suspension import RunAgainError
from convoke.operations.webhook_delivery import (
    BegunDelivery,
    DeliveryFailedError,
    Outcome,
    RetryLaterError,
    WebhookDelivery,
)

logger = logging.getLogger(__name__)

MAX_CONCURRENT_DELIVERIES = 32
MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT = 16
MAX_CONCURRENT_DELIVERIES_PER_RECEIVER = 4

EVENTS_PER_TICK = 8
"""Events split in one tick of the event loop. They never wait for deliveries."""

MAX_STARTS_PER_TICK = 32
"""Deliveries begun in one tick, also of those that fail before a call."""

OWN_FAILURE_RETRY_SECONDS = 5.0
"""Pause before a delivery that failed in Convoke itself is tried again."""

LOCKED_RETRY_SECONDS = 0.01
"""Pause before an outcome is stored again while another process holds the write lock."""

MESSAGE: TypeAdapter[Delivery | Event] = TypeAdapter(
    Delivery | Event, config=ConfigDict(hide_input_in_errors=True, defer_build=True)
)
"""The messages of the delivery queue."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Handles messages of the delivery queue in the calling thread."""

    queue: DurableQueue
    delivery: WebhookDelivery

    def run(self) -> None:
        """Handle every visible message, one after the other."""
        while message := self._next():
            with self.queue.table.unit():
                begun = self.begin(message)
            if begun:
                outcome = self.delivery.call(begun)
                with self.queue.table.unit():
                    self.finish(message, begun, outcome)

    def begin(self, message: ReceivedMessage) -> BegunDelivery | None:
        """Split an event, or record that an attempt starts; return the attempt whose receiver is to be called."""
        return self._settled(message, partial(self._begin, message))

    def finish(
        self,
        message: ReceivedMessage,
        begun: BegunDelivery,
        outcome: Outcome,
        paused_until: datetime | None = None,
    ) -> None:
        """Record the outcome, and delete the message, postpone it or move it to the dead letters."""
        self._settled(message, partial(self._finish, message, begun, outcome, paused_until))

    def _next(self) -> ReceivedMessage | None:
        for receiver in (NO_RECEIVER, *self.queue.receivers()):
            if message := self.queue.receive(receiver):
                return message
        return None

    def _begin(self, message: ReceivedMessage) -> BegunDelivery | None:
        match MESSAGE.validate_json(message.body):
            case Event() as event:
                self.delivery.split(event)
                self.queue.delete(message)
                return None
            case Delivery() as delivery:
                return self.delivery.begin(delivery, message.receive_count)

    def _finish(
        self, message: ReceivedMessage, begun: BegunDelivery, outcome: Outcome, paused_until: datetime | None
    ) -> None:
        self.delivery.finish(begun, outcome, paused_until)
        self.queue.delete(message)

    def _settled(self, message: ReceivedMessage, handle: Callable[[], BegunDelivery | None]) -> BegunDelivery | None:
        """A failure of Convoke itself uses up no attempt; a message that cannot be read is a dead letter."""
        try:
            return handle()
        except RetryLaterError as error:
            self.queue.change_visibility(message, error.seconds)
        except (DeliveryFailedError, ValidationError) as error:
            logger.error("a webhook delivery was given up: %s", error)  # noqa: TRY400 - the text says what happened
            self.queue.dead_letter(message)
        except Exception:
            logger.exception("a webhook delivery failed in Convoke and will be tried again")
            self.queue.return_uncounted(message, OWN_FAILURE_RETRY_SECONDS)
        return None


class ConcurrentDeliveries:
    """Schedules deliveries on an event loop; only the calls to receivers leave its thread."""

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
        """Messages whose receivers are being called, and when each becomes visible again."""
        self._breakers: dict[str, CircuitBreaker] = {}
        self._last_receiver = ""
        self._woken = False
        self._pause: asyncio.TimerHandle | None = None
        """The end of the pause after a failed commit."""
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def under_way(self) -> list[int]:
        """The ids of the messages whose receivers are being called."""
        return [*self._under_way]

    def wake(self) -> None:
        """Look at the queue in the next tick. To be called on the event loop's thread."""
        if not self._woken and not self._stopping and self._pause is None:
            self._woken = True
            self._loop.call_soon(self._schedule)

    async def stop(self, grace_seconds: float, cut: Callable[[], None]) -> None:
        """Start no more calls. Wait for those under way; after `grace_seconds` call `cut`, which should end them.

        The messages of calls that go on even then become visible at the next start.
        """
        self._stopping = True
        if self._pause is not None:
            self._pause.cancel()
        try:
            if not await self._is_idle_within(grace_seconds):
                cut()
                await self._is_idle_within(grace_seconds)
        finally:
            self._pool.shutdown(wait=False)

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
            more = self._split_events()
            more = self._start_deliveries() or more
        except RunAgainError:
            self._loop.call_later(LOCKED_RETRY_SECONDS, self.wake)
        except Exception:
            logger.exception("the delivery queue cannot be read; it is tried again")
            self._loop.call_later(OWN_FAILURE_RETRY_SECONDS, self.wake)
        else:
            if more:
                self.wake()

    def _hide_messages_under_way(self) -> None:
        """Keep them invisible although the clock was moved: calls take real time."""
        now = self._now()
        for message, visible_at in [*self._under_way.values()]:
            if visible_at <= now:
                self._queue.change_visibility(message, VISIBILITY_TIMEOUT_SECONDS)
                self._under_way[message.id] = message, now + timedelta(seconds=VISIBILITY_TIMEOUT_SECONDS)

    def _split_events(self) -> bool:
        """Split some events and return whether there may be more."""
        for _ in range(EVENTS_PER_TICK):
            if (message := self._queue.receive(NO_RECEIVER)) is None:
                return False
            self._deliveries.begin(message)
        return True

    def _start_deliveries(self) -> bool:
        """Start deliveries as far as the limits allow and return whether there may be more."""
        for _ in range(MAX_STARTS_PER_TICK):
            if (receiver := self._next_receiver()) is None or (message := self._queue.receive(receiver)) is None:
                return False
            self._start(message)
        return True

    def _next_receiver(self) -> str | None:
        """Return the next receiver in turn that has a visible message and may be called."""
        if self._receivers.total() >= MAX_CONCURRENT_DELIVERIES:
            return None
        receivers = self._queue.receivers()
        first = bisect_right(receivers, self._last_receiver)
        now = self._now()
        for receiver in (*receivers[first:], *receivers[:first]):
            under_way = self._receivers[receiver]
            if (
                under_way < MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
                and self._accounts[_account_of(receiver)] < MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT
                and self._breakers.get(receiver, CLOSED).allows(now, under_way=under_way)
            ):
                self._last_receiver = receiver
                return receiver
        return None

    def _start(self, message: ReceivedMessage) -> None:
        begun = self._deliveries.begin(message)
        if begun is None:
            return
        self._count(message, 1)
        # The attempt must be on record before the receiver is called.
        self._table.after_commit(partial(self._call, message, begun))
        self._table.on_failure(partial(self._dropped, message))

    def _call(self, message: ReceivedMessage, begun: BegunDelivery) -> None:
        if self._stopping:
            self._finish(message, begun, None)
        else:
            self._pool.submit(self._call_receiver, message, begun)

    def _call_receiver(self, message: ReceivedMessage, begun: BegunDelivery) -> None:
        try:
            outcome: Outcome | None = self._deliveries.delivery.call(begun)
        except Exception:
            logger.exception("a webhook delivery failed in Convoke and will be tried again")
            outcome = None
        self._loop.call_soon_threadsafe(self._finish, message, begun, outcome)

    def _finish(self, message: ReceivedMessage, begun: BegunDelivery, outcome: Outcome | None) -> None:
        try:
            self._table.begin()
        except RunAgainError:
            self._loop.call_later(LOCKED_RETRY_SECONDS, self._finish, message, begun, outcome)
            return
        except Exception:
            # The message becomes visible again after its visibility timeout.
            logger.exception("the outcome of a webhook delivery is lost; it will be repeated")
            self._dropped(message)
            return
        # Before anything that can fail: a message that is counted for ever would hold its place for ever.
        self._table.after_commit(partial(self._done, message))
        self._table.on_failure(partial(self._dropped, message))
        try:
            self._settle(message, begun, outcome)
        except UnavailableError:
            # The unit is dropped and has called `_dropped`; the table has logged why.
            return
        except Exception:
            logger.exception("the outcome of a webhook delivery is lost; it will be repeated")

    def _settle(self, message: ReceivedMessage, begun: BegunDelivery, outcome: Outcome | None) -> None:
        if self._stopping and (outcome is None or outcome.status is None):
            # Cut by the shutdown: the receiver is not to blame.
            self._queue.return_uncounted(message, 0)
        elif outcome is None:
            self._queue.return_uncounted(message, OWN_FAILURE_RETRY_SECONDS)
        else:
            self._deliveries.finish(message, begun, outcome, self._record(message.receiver, outcome))

    def _record(self, receiver: str, outcome: Outcome) -> datetime | None:
        """Count the receiver's failures in a row and return until when deliveries pause. A success resets the count."""
        if not outcome.is_retryable:
            self._breakers.pop(receiver, None)
            return None
        breaker = self._breakers[receiver] = self._breakers.get(receiver, CLOSED).failed(self._now())
        if breaker.open_until:
            logger.warning(
                "deliveries to a receiver pause",
                extra={"account_sid": _account_of(receiver), "failures": breaker.failures},
            )
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
        """The unit with this message was not stored, and the next one may not be either: pause."""
        self._count(message, -1)
        if self._pause is None and not self._stopping:
            self._pause = self._loop.call_later(OWN_FAILURE_RETRY_SECONDS, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.wake()


def _account_of(receiver: str) -> str:
    return receiver.partition(" ")[0]
