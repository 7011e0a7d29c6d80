"""What AWS does between the steps, on threads of one process.

Each piece of work may fail without harm to the next: what failed is logged and found again by the sweeper, in the
stream or in the delivery queue.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.domain.events import Change, Event
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.webhooks import Delivery
from convoke.local.handover import Execution
from convoke.local.queue import DurableQueue, ReceivedMessage
from convoke.operations.conversation_finalizer import CannotFinalizeError, ConversationFinalizer, NothingLeftError
from convoke.operations.event_publisher import EventPublisher
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import EventBus
from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError, WebhookDelivery
from convoke.storage.changes import change_of
from convoke.storage.sqlite import SqliteTable
from convoke.storage.table import Item

logger = logging.getLogger(__name__)

TOGETHER = 32
"""Conversations whose steps are one commit."""

STREAM_BATCH = 50
"""Changes published at a time."""

SOON, LATEST = 0.003, 0.02
"""Seconds that steps wait for more of them, and in all: meanwhile requests go first."""

DELIVERIES_AT_ONCE = 32
DELIVERIES_OF_AN_ACCOUNT = 8
"""Calls under way, of all accounts and of one: receivers of one that hang leave room for those of others."""

OWN_PAUSE = 5.0
"""Seconds until a delivery is tried again that failed on this side."""

MESSAGE: TypeAdapter[Delivery | Event] = TypeAdapter(Delivery | Event, config=ConfigDict(hide_input_in_errors=True))
"""Of the delivery queue."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The finalizer's: Finalize, Publish, Settle; Close where finalizing has failed for good."""

    finalizer: ConversationFinalizer
    bus: EventBus

    def execute(self, execution: Execution) -> None:
        try:
            event = self._ended(*execution)
        except NothingLeftError:
            return
        self.bus.publish([event])
        self.finalizer.settle(execution.account_sid, execution.conversation_sid)

    def _ended(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        try:
            return self.finalizer.finalize(account_sid, conversation_sid, causes)
        except CannotFinalizeError:
            return self.finalizer.close(account_sid, conversation_sid, causes)


@dataclass(frozen=True, slots=True)
class Steps:
    """Adds participants, executes state machines and publishes the stream."""

    participants: deque[Provisioning]
    executions: deque[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    publisher: EventPublisher
    taking: threading.Lock = field(default_factory=threading.Lock)

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Go on until nothing is waiting, or `go_on` says no: what is left is found in the table."""
        while self.turn() and go_on():
            pass

    def turn(self) -> bool:
        """Do some of what is waiting; whether there was anything."""
        with self.taking:
            return any((self._finish_conversations(), self._publish()))

    def _finish_conversations(self) -> bool:
        """Whether there were any. What a crash undoes is as if it had not been begun."""
        if not (self.participants or self.executions):
            return False
        with self.table.transaction():
            for _ in range(TOGETHER):
                _attempt_next(self.participants, self.adder.add)
                _attempt_next(self.executions, self.state_machine.execute)
        return True

    def _publish(self) -> bool:
        """Whether there was anything. Records are forgotten only when they are on the bus."""
        records = self.table.stream_records(STREAM_BATCH)
        if records:
            self.publisher.publish([change for _, item in records if (change := _readable(item))])
            self.table.forget_stream_records(records[-1][0])
        return bool(records)


def _readable(item: Item) -> Change | None:
    """The change in a record. One that cannot be read any more, ever, must not hold up those behind it."""
    try:
        return change_of(item)
    except ValidationError:
        logger.exception("a change cannot be published", extra={"change_sid": item.get("sid")})
        return None


def _attempt_next(waiting: deque[Work], handle: Callable[[Work], None]) -> None:
    if not waiting:
        return
    try:
        handle(waiting.popleft())
    except Exception:
        logger.exception("a step failed; the sweeper will try again")


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Handles the messages of the delivery queue."""

    queue: DurableQueue
    delivery: WebhookDelivery

    def run(self) -> None:
        """Handle what is visible, one after the other, until nothing is."""
        while message := self.queue.receive():
            self.handle(message)

    def handle(self, message: ReceivedMessage) -> None:
        """A failure of ours spends no attempt of the receiver's; a message that cannot be read is put aside."""
        try:
            match MESSAGE.validate_json(message.body):
                case Event() as event:
                    self.delivery.split(event)
                case Delivery() as delivery:
                    self.delivery.deliver(delivery, message.receive_count)
        except RetryLaterError as error:
            self.queue.postpone(message, error.seconds)
        except (DeliveryFailedError, ValidationError) as error:
            logger.error("a webhook was given up: %s", error)  # noqa: TRY400 - what happened is in the text
            self.queue.bury(message)
        except Exception:
            logger.exception("a delivery failed; it comes again")
            self.queue.give_back(message, OWN_PAUSE)
        else:
            self.queue.remove(message)


class ConcurrentDeliveries:
    """Handles deliveries on a pool of threads, so that a receiver that hangs delays nobody else's (promise 7)."""

    def __init__(self, deliveries: Deliveries, done: Callable[[], None]) -> None:
        self._deliveries = deliveries
        self._done = done
        self._pool = ThreadPoolExecutor(DELIVERIES_AT_ONCE, thread_name_prefix="delivery")
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def run(self) -> None:
        """Hand visible messages to free threads; those that find none, or whose account has enough, stay there."""
        while message := self._next():
            self._pool.submit(self._handle, message)

    def close(self) -> None:
        """Wait for the calls under way, which the time limit bounds."""
        self._pool.shutdown()

    def _next(self) -> ReceivedMessage | None:
        with self._lock:
            if self._under_way.total() >= DELIVERIES_AT_ONCE:
                return None
            full = [account for account, calls in self._under_way.items() if calls >= DELIVERIES_OF_AN_ACCOUNT]
            message = self._deliveries.queue.receive(passed_over=full)
            if message:
                self._under_way[message.account_sid] += 1
            return message

    def _handle(self, message: ReceivedMessage) -> None:
        try:
            self._deliveries.handle(message)
        except Exception:
            logger.exception("a delivery is not settled; it comes again")
        finally:
            with self._lock:
                self._under_way[message.account_sid] -= 1
            self._done()


class Loop:
    """A thread that does its work when it is woken, and every `interval` seconds in any case."""

    def __init__(self, name: str, work: Callable[[], object], interval: float) -> None:
        self._work = work
        self._interval = interval
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def wake(self) -> None:
        self._woken.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the work under way come to its end."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait(self._interval)
            self._woken.clear()
            try:
                self._work()
            except Exception:
                logger.exception("a loop failed; it goes on in %s s", self._interval)


class Turned:
    """Does its work on an event loop, a turn at a time, when it is woken and nobody wakes it again for a moment.

    So who asks for many things in a row is answered first, and what follows from them is done together.
    """

    def __init__(self, event_loop: asyncio.AbstractEventLoop, turn: Callable[[], bool]) -> None:
        self._event_loop = event_loop
        self._turn = turn
        self._timer: asyncio.Handle | None = None
        self._latest = 0.0

    def wake(self) -> None:
        # A closed one is not told: what is left is found in the table.
        with suppress(RuntimeError):
            self._event_loop.call_soon_threadsafe(self._put_off)

    def _put_off(self) -> None:
        now = self._event_loop.time()
        if self._timer is None:
            self._latest = now + LATEST
        elif now < self._latest:
            self._timer.cancel()
        else:
            return
        self._timer = self._event_loop.call_at(min(now + SOON, self._latest), self._work)

    def _work(self) -> None:
        self._timer = None
        try:
            if self._turn():
                # More may have come, but requests that came meanwhile are before it.
                self._timer = self._event_loop.call_soon(self._work)
        except Exception:
            logger.exception("a turn failed; the sweeper will find what is left")
