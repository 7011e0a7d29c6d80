"""What AWS does between the steps, on threads of one process.

Each piece of work may fail without harm to the next: what failed is logged and found again by the sweeper, in the
stream or in the delivery queue.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from convoke.domain.provisioning import Provisioning
from convoke.domain.webhooks import Delivery
from convoke.local.handover import Execution
from convoke.local.queue import DurableQueue, ReceivedMessage
from convoke.local.turnstile import Turnstile
from convoke.operations.conversation_finalizer import CannotFinalizeError, ConversationFinalizer, ConversationGoneError
from convoke.operations.event_publisher import EventPublisher
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import EventBus
from convoke.operations.webhook_delivery import MOST_ATTEMPTS, DeliveryFailedError, RetryLaterError, WebhookDelivery
from convoke.storage.changes import change_of
from convoke.storage.sqlite import SqliteTable

logger = logging.getLogger(__name__)

STREAM_BATCH = 50
"""Changes published at a time, and conversations finished before the next are."""

DELIVERIES_AT_ONCE = 16
"""Receivers that may hang before others have to wait."""

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The finalizer's: Finalize, Publish, Settle; Close where finalizing has failed for good."""

    finalizer: ConversationFinalizer
    bus: EventBus

    def execute(self, execution: Execution) -> None:
        account_sid, conversation_sid, causes = execution
        try:
            event = self.finalizer.finalize(account_sid, conversation_sid, causes)
        except CannotFinalizeError:
            event = self.finalizer.close(account_sid, conversation_sid, causes)
        except ConversationGoneError:
            return
        self.bus.publish([event])
        self.finalizer.settle(account_sid, conversation_sid)


@dataclass(frozen=True, slots=True)
class Steps:
    """Adds participants, executes state machines and publishes the stream, a turn a conversation."""

    participants: deque[Provisioning]
    executions: deque[Execution]
    table: SqliteTable
    adder: ParticipantAdder
    state_machine: StateMachine
    publisher: EventPublisher
    turnstile: Turnstile

    def run(self) -> None:
        """Go on until nothing is waiting."""
        while any((self._finish_conversations(), self._publish())):
            pass

    def _finish_conversations(self) -> bool:
        """Whether there were any; after some, others get to hear of them first."""
        turns = 0
        while (self.participants or self.executions) and turns < STREAM_BATCH:
            with self.turnstile.step():
                _attempt_next(self.participants, self.adder.add)
                _attempt_next(self.executions, self.state_machine.execute)
            turns += 1
        return turns > 0

    def _publish(self) -> bool:
        """Whether there was anything. Records are forgotten only when they are on the bus."""
        with self.turnstile.step():
            records = self.table.stream_records(STREAM_BATCH)
            if records:
                self.publisher.publish([change_of(item) for _, item in records])
                self.table.forget_stream_records(records[-1][0])
        return bool(records)


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
        while messages := self.queue.receive(1):
            self.handle(messages[0])

    def handle(self, message: ReceivedMessage) -> None:
        try:
            self.delivery.deliver(Delivery.model_validate_json(message.body), message.receive_count)
        except RetryLaterError as error:
            self.queue.postpone(message, error.seconds)
        except DeliveryFailedError as error:
            logger.error("a webhook was given up: %s", error)  # noqa: TRY400 - what happened is in the text
            self.queue.bury(message)
        except Exception:
            logger.exception("a delivery failed; it comes again")
            if message.receive_count >= MOST_ATTEMPTS:
                self.queue.bury(message)
        else:
            self.queue.remove(message)


class ConcurrentDeliveries:
    """Handles deliveries on a pool of threads, so that a receiver that hangs delays no other."""

    def __init__(self, deliveries: Deliveries, done: Callable[[], None]) -> None:
        self._deliveries = deliveries
        self._done = done
        self._pool = ThreadPoolExecutor(DELIVERIES_AT_ONCE, thread_name_prefix="delivery")
        self._free = threading.Semaphore(DELIVERIES_AT_ONCE)

    def run(self) -> None:
        """Hand visible messages to free threads; those that find none stay in the queue."""
        while self._free.acquire(blocking=False):
            messages = self._deliveries.queue.receive(1)
            if not messages:
                self._free.release()
                return
            self._pool.submit(self._deliveries.handle, messages[0]).add_done_callback(self._released)

    def close(self) -> None:
        """Wait for the calls under way, which the time limit bounds."""
        self._pool.shutdown()

    def _released(self, _: Future[None]) -> None:
        self._free.release()
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
