"""Delivers events to webhooks: one message a target, one attempt a message (promise 7; reference, d.5)."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from convoke.domain.events import Event
from convoke.domain.instants import Clock
from convoke.domain.webhooks import Attempt, Delivery
from convoke.observability import Measure, Metrics
from convoke.operations.ports import (
    AttemptRepository,
    AuthTokens,
    DeliveryQueue,
    WebhookClient,
    WebhookConfigurationRepository,
    WebhookUnreachableError,
)

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 4
"""One and three retries (reference, d.5)."""

RETRIED_STATUSES = frozenset({429, *range(500, 600)})


class RetryLaterError(Exception):
    """The attempt failed and another may succeed: the message is to come again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"to be retried in {seconds:.1f} s")
        self.seconds = seconds


class DeliveryFailedError(Exception):
    """The attempts are used up, or no attempt can succeed: the message belongs into the dead-letter queue."""


class Outcome(NamedTuple):
    """What came of an attempt: the HTTP status, or what kept one from coming."""

    status: int | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    configurations: WebhookConfigurationRepository
    attempts: AttemptRepository
    auth_tokens: AuthTokens
    queue: DeliveryQueue
    client: WebhookClient
    now: Clock
    metrics: Metrics

    def split(self, event: Event) -> None:
        """Send one message for each target that wants the event."""
        configuration = self.configurations.fetch(event.account_sid)
        url = configuration.post_webhook_url
        if url is not None and configuration.wants(event):
            self.queue.send([Delivery(event=event, target="account", url=url, method=configuration.method)])

    def deliver(self, delivery: Delivery, number: int) -> None:
        """Make attempt `number`, counted from 1, and record it before and after.

        Raises RetryLaterError or DeliveryFailedError; returns where the receiver took the event, or refused it.
        """
        token = self.auth_tokens.fetch(delivery.event.account_sid)
        if token is None:
            raise self._failed("the account has no Auth Token to sign with")
        started = self.now()
        attempt = Attempt(number=number, url=delivery.url, started_at=started)
        self.attempts.put(delivery, attempt)
        outcome = self._call(delivery, number, token)
        completed = {"status": outcome.status, "error": outcome.error, "milliseconds": self._since(started)}
        self.attempts.put(delivery, attempt.model_copy(update=completed))
        self._conclude(delivery, number, outcome)

    def _conclude(self, delivery: Delivery, number: int, outcome: Outcome) -> None:
        """Return where the receiver took the event; raise what becomes of the message where it did not."""
        status, error = outcome
        if status is not None and status < 300:
            self.metrics.add(Measure.DELIVERED)
            return
        about = {"event_id": delivery.event.id, "target": delivery.target, "attempt": number, "status": status}
        logger.warning("a webhook did not take an event", extra=about | {"error": error})
        if number < MOST_ATTEMPTS and (status is None or status in RETRIED_STATUSES):
            raise RetryLaterError(pause_after(number))
        raise self._failed(error or f"the receiver answered {status}")

    def _failed(self, reason: str) -> DeliveryFailedError:
        self.metrics.add(Measure.DELIVERY_FAILED)
        return DeliveryFailedError(reason)

    def _call(self, delivery: Delivery, number: int, token: str) -> Outcome:
        try:
            return Outcome(self.client.call(delivery, retry_count=number - 1, auth_token=token))
        except WebhookUnreachableError as error:
            return Outcome(None, str(error))

    def _since(self, started: datetime) -> int:
        return int((self.now() - started).total_seconds() * 1000)


def pause_after(number: int) -> float:
    """Seconds to wait after attempt `number`: 2, 4, 8, half of it by chance so that receivers are not hit in step."""
    return (1 << number) * random.uniform(0.5, 1)  # noqa: S311  (jitter, no secret)
