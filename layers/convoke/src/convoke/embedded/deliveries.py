"""Consumers of the delivery queue: one message after the other, or many at once on a pool of threads."""

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
"""Webhook calls at a time, of all accounts and of one account.

The limit per account leaves room for other accounts when the receivers of one account do not answer.
"""

OWN_FAILURE_RETRY_SECONDS = 5.0
"""When to retry a delivery that failed because of an error in Convoke."""

MESSAGE: TypeAdapter[Delivery | Event] = TypeAdapter(Delivery | Event, config=ConfigDict(hide_input_in_errors=True))
"""Parses a message of the delivery queue. Errors do not contain the input, so logs contain no message texts."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Processes the messages of the delivery queue."""

    queue: DurableQueue
    delivery: WebhookDelivery

    def run(self) -> None:
        """Process messages one after the other until none is visible."""
        while message := self.queue.receive():
            self.handle(message)

    def handle(self, message: ReceivedMessage) -> None:
        """Process a message and delete it, make it visible again later, or dead-letter it."""
        try:
            match MESSAGE.validate_json(message.body):
                case Event() as event:
                    self.delivery.split(event)
                case Delivery() as delivery:
                    self.delivery.deliver(delivery, message.receive_count)
        except RetryLaterError as error:
            self.queue.change_visibility(message, error.seconds)
        except (DeliveryFailedError, ValidationError) as error:
            logger.error("A webhook delivery moved to the dead-letter queue: %s", error)  # noqa: TRY400 - one line suffices
            self.queue.dead_letter(message)
        except Exception:
            logger.exception("A webhook delivery failed because of an error in Convoke. Convoke will retry it.")
            # The receive count is the number of the attempt, and the receiver must not lose an attempt.
            self.queue.return_uncounted(message, OWN_FAILURE_RETRY_SECONDS)
        else:
            self.queue.delete(message)


class ConcurrentDeliveries:
    """Processes deliveries on a pool of threads, so that a slow receiver does not delay other accounts."""

    def __init__(self, deliveries: Deliveries, on_finished: Callable[[], None]) -> None:
        """Create the pool. `on_finished` is called after each delivery, when a thread is free again."""
        self._deliveries = deliveries
        self._on_finished = on_finished
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT_DELIVERIES, thread_name_prefix="delivery")
        self._lock = threading.Lock()
        self._calls_by_account: Counter[str] = Counter()

    def run(self) -> None:
        """Start a delivery for each visible message until a limit is reached. Other messages stay in the queue."""
        while message := self._receive():
            self._pool.submit(self._handle, message)

    def close(self) -> None:
        """Wait for the calls in progress. The time limit of a webhook call bounds the wait."""
        self._pool.shutdown()

    def _receive(self) -> ReceivedMessage | None:
        with self._lock:
            if self._calls_by_account.total() >= MAX_CONCURRENT_DELIVERIES:
                return None
            at_limit = [
                account
                for account, calls in self._calls_by_account.items()
                if calls >= MAX_CONCURRENT_DELIVERIES_PER_ACCOUNT
            ]
            message = self._deliveries.queue.receive(excluded_accounts=at_limit)
            # Count inside the lock and only after `receive` has returned, so an error of `receive` uses no place.
            if message:
                self._calls_by_account[message.account_sid] += 1
            return message

    def _handle(self, message: ReceivedMessage) -> None:
        try:
            self._deliveries.handle(message)
        except Exception:
            # The queue could not be updated. The message becomes visible again after the visibility timeout.
            logger.exception("The result of a webhook delivery could not be stored. Convoke will retry the delivery.")
        finally:
            with self._lock:
                self._calls_by_account[message.account_sid] -= 1
            self._on_finished()
