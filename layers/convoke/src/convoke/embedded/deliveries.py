"""Works off the delivery queue: one message at a time, or on a pool of threads."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import DurableQueue, ReceivedMessage
from convoke.operations.webhook_delivery import DeliveryFailedError, RetryLaterError, WebhookDelivery

logger = logging.getLogger(__name__)

MAX_CONCURRENT_DELIVERIES = 32
MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT = 8
"""Calls under way, of all accounts and of one: receivers of one that hang leave room for those of others."""

OWN_FAILURE_RETRY_SECONDS = 5.0
"""Seconds until a delivery is tried again that failed on this side."""

MESSAGE: TypeAdapter[Delivery | Event] = TypeAdapter(Delivery | Event, config=ConfigDict(hide_input_in_errors=True))
"""Of the delivery queue."""


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
            self.queue.give_back(message, OWN_FAILURE_RETRY_SECONDS)
        else:
            self.queue.remove(message)


class ConcurrentDeliveries:
    """Handles deliveries on a pool of threads, so that a receiver that hangs delays nobody else's (promise 7)."""

    def __init__(self, deliveries: Deliveries, done: Callable[[], None]) -> None:
        self._deliveries = deliveries
        self._done = done
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT_DELIVERIES, thread_name_prefix="delivery")
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
            if self._under_way.total() >= MAX_CONCURRENT_DELIVERIES:
                return None
            full = [
                account for account, calls in self._under_way.items() if calls >= MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT
            ]
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
