"""Make the attempts of deliveries on AWS. The processes of a deployment share the circuit breakers of receivers.

As long as no delivery to a receiver fails, its circuit breaker causes no call to DynamoDB. See
docs/behaviour/webhook-delivery.md#circuit-breaker and docs/decisions/0086-circuit-breaker-on-aws.md.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from convoke.domain.circuit_breakers import CLOSED, FAILURES_TO_OPEN, CircuitBreaker, receiver_key
from convoke.domain.connections import MAX_TIMEOUT_SECONDS
from convoke.domain.instants import Clock
from convoke.domain.webhooks import Delivery
from convoke.operations.webhook_delivery import RetryLaterError, WebhookDelivery, report_pause
from convoke.storage.circuit_breakers import CircuitBreakerRepository

MAX_KNOWN_RECEIVERS = 1_000

PROBE_PAUSE = timedelta(seconds=MAX_TIMEOUT_SECONDS + 5)
"""The time for which other deliveries to a receiver are paused while one process probes the receiver.

A probe is one call to a receiver after a pause. Each probe takes less than this time.
"""

MAX_PAUSED_RECEIVES = 90
"""The number of receives after which a delivery is attempted even if its receiver is paused.

SQS moves a queue message to the dead-letter queue after `maxReceiveCount` receives, and each pause uses one receive.
The number is so small that the remaining receives are enough for all attempts.
"""

MAX_SPREAD_SECONDS = 900.0
"""The upper limit of the random time that is added to a pause.

The random time has a maximum that doubles with each receive, up to this limit. Without the random time, all deliveries
that wait for a receiver would be attempted at the same time after each pause.
"""


class Permit(NamedTuple):
    """The permission to call a receiver now."""

    receiver: str
    breaker: CircuitBreaker
    """The circuit breaker to which the outcome of the call applies."""
    stored: CircuitBreaker
    """The circuit breaker that this process has last read from the table or written to the table.

    During a probe, `stored` is not equal to `breaker`, because `stored` pauses the deliveries of other processes.
    """


class ReceiverPausedError(Exception):
    """The circuit breaker of the receiver pauses deliveries until `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"paused until {until}")
        self.until = until


class SharedCircuitBreakers:
    """Reads and changes the circuit breakers in the table, and caches the circuit breakers that it has read.

    If a process has not read the circuit breaker of a receiver, it assumes that the circuit breaker is closed. The
    process reads the stored circuit breaker when it records the first failure.
    """

    def __init__(self, repository: CircuitBreakerRepository, now: Clock) -> None:
        self._repository = repository
        self._now = now
        self._known: dict[str, CircuitBreaker] = {}

    def admit(self, receiver: str, *, look_up: bool, may_pause: bool = True) -> Permit:
        """Return the permission to call a receiver. Raises ReceiverPausedError if deliveries to the receiver pause.

        After a pause, only one process gets the permission. If `look_up` is True and the circuit breaker is not cached,
        the method reads it from the table. If `may_pause` is False, the method returns the permission even during a
        pause.
        """
        breaker = self._known.get(receiver)
        if breaker is None:
            breaker = self._repository.fetch(receiver, self._now()) if look_up else CLOSED
        while breaker.open_until:
            now = self._now()
            if not breaker.allows(now, under_way=0):
                self._remember(receiver, breaker)
                if not may_pause:
                    break
                raise ReceiverPausedError(breaker.open_until)
            claim = replace(breaker, open_until=now + PROBE_PAUSE)
            stored = self._remember(receiver, self._repository.replace(receiver, breaker, claim, now))
            if stored is claim:
                return Permit(receiver, breaker, claim)
            breaker = stored
        return Permit(receiver, breaker, breaker)

    def record(self, permit: Permit, *, is_failure: bool) -> datetime | None:
        """Record the outcome of a call. Return the end of the receiver's pause, or None if there is no pause."""
        if is_failure:
            return self._record_failure(permit)
        if permit.stored != CLOSED:
            self._repository.close(permit.receiver, self._now())
        self._known.pop(permit.receiver, None)
        return None

    def _record_failure(self, permit: Permit) -> datetime | None:
        receiver, breaker, stored = permit
        now = self._now()
        # Try again if another process changes the circuit breaker at the same time. After FAILURES_TO_OPEN such
        # conflicts, the other processes have opened the circuit breaker. This failure then need not be counted.
        for _ in range(FAILURES_TO_OPEN):
            after = breaker.after(now, is_failure=True)
            if after == stored:
                break
            breaker = stored = self._repository.replace(receiver, stored, after, now)
            if stored is after:
                report_pause(receiver, after)
                break
        return self._remember(receiver, stored).open_until

    def _remember(self, receiver: str, breaker: CircuitBreaker) -> CircuitBreaker:
        """Cache and return a circuit breaker.

        If the cache contains more than MAX_KNOWN_RECEIVERS circuit breakers, remove the oldest circuit breaker.
        """
        self._known.pop(receiver, None)
        self._known[receiver] = breaker
        if len(self._known) > MAX_KNOWN_RECEIVERS:
            del self._known[next(iter(self._known))]
        return breaker


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Makes one attempt each time that the queue message of a delivery is received."""

    delivery: WebhookDelivery
    breakers: SharedCircuitBreakers
    now: Clock

    def attempt(self, delivery: Delivery, receive_count: int) -> None:
        """Make the next attempt of a delivery, unless its receiver is paused.

        `receive_count` is the number of times that SQS has delivered the queue message. Some receives cause no attempt,
        so the attempts in the table determine the number of the next attempt. Raises RetryLaterError or
        DeliveryFailedError unless the receiver has accepted the event.
        """
        is_first = receive_count == 1
        permit = self._admit(receiver_key(delivery.account_sid, delivery.url), receive_count)
        number = 1 if is_first else self.delivery.next_number(delivery)
        if number is None:
            return
        begun = self.delivery.begin(delivery, number)
        outcome = self.delivery.call(begun)
        paused_until = self.breakers.record(permit, is_failure=outcome.is_retryable)
        self.delivery.finish(begun, outcome, paused_until)

    def _admit(self, receiver: str, receive_count: int) -> Permit:
        try:
            return self.breakers.admit(
                receiver, look_up=receive_count > 1, may_pause=receive_count <= MAX_PAUSED_RECEIVES
            )
        except ReceiverPausedError as paused:
            pause = (paused.until - self.now()).total_seconds()
            raise RetryLaterError(pause + spread_seconds(receive_count)) from paused


def spread_seconds(receive_count: int) -> float:
    return random.uniform(0, min(2.0**receive_count, MAX_SPREAD_SECONDS))  # noqa: S311  (jitter, not a secret)
