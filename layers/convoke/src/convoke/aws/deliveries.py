"""Make delivery attempts on AWS. All processes of a deployment share the receivers' circuit breakers in the table.

In this module, a receive is one delivery of a queue message to the function by SQS.

A delivery that succeeds at its first receive needs no access to a stored circuit breaker, unless the process knows of
an earlier failure of the receiver. See docs/behaviour/webhook-delivery.md#circuit-breaker and
docs/decisions/0086-circuit-breaker-on-aws.md.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from convoke.domain.circuit_breakers import CLOSED, FAILURES_TO_OPEN, CircuitBreaker, receiver_key
from convoke.domain.connections import MAX_TIMEOUT_SECONDS
from convoke.domain.instants import Clock
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import RetryLaterError
from convoke.operations.webhook_delivery import WebhookDelivery, report_pause
from convoke.storage.circuit_breakers import CircuitBreakerRepository

MAX_KNOWN_RECEIVERS = 1_000

PROBE_PAUSE = timedelta(seconds=MAX_TIMEOUT_SECONDS + 5)
"""How long the other deliveries to a receiver wait for the probe, which is the first call after a pause.

Every probe takes less than this time.
"""

MAX_PAUSED_RECEIVES = 90
"""The number of receives of a queue message after which Convoke attempts the delivery even if the receiver is paused.

Each pause uses one receive. After `maxReceiveCount` receives, SQS moves the queue message to a dead-letter queue. The
receives between MAX_PAUSED_RECEIVES and `maxReceiveCount` are enough for all attempts.
"""

MAX_SPREAD_SECONDS = 900.0
"""The upper limit of the random time that is added to a pause.

The random time is between 0 and a maximum, which doubles with each receive up to this limit. Without the random time,
all waiting deliveries to a receiver would be attempted at the same moment.
"""


class Permit(NamedTuple):
    """The permission to call a receiver now."""

    receiver: str
    breaker: CircuitBreaker
    """The circuit breaker to which the outcome of the call applies."""
    stored: CircuitBreaker
    """The circuit breaker as this process last read it from the table or wrote it to the table.

    During a probe, `stored` is different from `breaker`, because `stored` pauses the deliveries of other processes.
    """


class ReceiverPausedError(Exception):
    """The circuit breaker of a receiver pauses the deliveries to the receiver until `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"paused until {until}")
        self.until = until


class SharedCircuitBreakers:
    """Reads and changes the circuit breakers in the table, with a cache.

    At the first receive of a queue message, a circuit breaker that is not in the cache counts as closed. The process
    reads the stored circuit breaker at a later receive, or after a failure.
    """

    def __init__(self, repository: CircuitBreakerRepository, now: Clock) -> None:
        self._repository = repository
        self._now = now
        self._known: dict[str, CircuitBreaker] = {}

    def admit(self, receiver: str, *, look_up: bool, may_pause: bool = True) -> Permit:
        """Return the permission to call a receiver. Raise ReceiverPausedError if deliveries to the receiver are paused.

        `receiver` is the key from `receiver_key`.

        At the end of a pause, one process gets the permission for a probe, and the other processes remain paused for
        PROBE_PAUSE. If `look_up` is True and the circuit breaker is not cached, read the circuit breaker from the
        table. If `may_pause` is False, return the permission even during a pause.
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
        """Record the outcome of a call. Return when the receiver's pause ends, or None if deliveries are not paused."""
        if is_failure:
            return self._record_failure(permit)
        if permit.stored != CLOSED:
            self._repository.close(permit.receiver, self._now())
        self._known.pop(permit.receiver, None)
        return None

    def _record_failure(self, permit: Permit) -> datetime | None:
        receiver, breaker, stored = permit
        now = self._now()
        # If another process changes the circuit breaker at the same time, `replace` returns the changed circuit
        # breaker, and the loop tries again with the changed circuit breaker. After FAILURES_TO_OPEN such conflicts, the
        # other processes have usually opened the circuit breaker, so this failure no longer matters.
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
        """Cache a circuit breaker, and return it.

        If the cache exceeds MAX_KNOWN_RECEIVERS, remove the oldest circuit breaker.
        """
        self._known.pop(receiver, None)
        self._known[receiver] = breaker
        if len(self._known) > MAX_KNOWN_RECEIVERS:
            del self._known[next(iter(self._known))]
        return breaker


@lean_dataclass
class Deliveries:
    """Makes at most one attempt for each receive of a delivery's queue message."""

    delivery: WebhookDelivery
    breakers: SharedCircuitBreakers
    now: Clock

    def attempt(self, delivery: Delivery, receive_count: int) -> None:
        """Make the next attempt of a delivery. Do nothing if the receiver has accepted the event before.

        `receive_count` is the number of receives of the queue message, plus the number of Convoke's own failures (see
        `SqsDeliveryQueue.send_again`). Some receives cause no attempt, so after the first receive, the number of the
        next attempt comes from the table.

        Raise RetryLaterError if the receiver is paused, or if it does not accept the event and a retry follows. Raise
        DeliveryFailedError if no retry follows, or if the account has no Auth Token.
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
