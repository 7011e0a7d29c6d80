"""Store the circuit breakers of receivers on AWS, so that all processes of a deployment share them."""

from __future__ import annotations

from datetime import datetime, timedelta

from convoke.domain.circuit_breakers import CLOSED, CircuitBreaker, account_sid_of
from convoke.domain.instants import to_milliseconds
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import (
    EXPIRES_AT,
    And,
    Condition,
    ConditionFailedError,
    Equals,
    Item,
    LessThan,
    NotExists,
    Or,
    Remove,
    Set,
    Table,
    Update,
)

LIFETIME = timedelta(hours=1)
"""How long a stored circuit breaker is used after its last change. Later, the circuit breaker counts as closed.

After a successful call, a process resets the stored failures only if the process has read them. Otherwise the failures
stay in the table. Without the limited lifetime, two failures on different days could count as consecutive, although
calls between them succeeded.
"""


@lean_dataclass
class CircuitBreakerRepository:
    """Stores each circuit breaker under the key of its receiver (see `receiver_key`)."""

    table: Table

    def fetch(self, receiver: str, now: datetime) -> CircuitBreaker:
        stored = self.table.get(keys.circuit_breaker(account_sid_of(receiver), receiver))
        return _from_item(stored, now) if stored else CLOSED

    def replace(self, receiver: str, before: CircuitBreaker, after: CircuitBreaker, now: datetime) -> CircuitBreaker:
        """Store `after` if the table contains `before`. Return the circuit breaker that is stored after this call."""
        try:
            self._store(receiver, after, now, _is_stored(before, now))
        except ConditionFailedError as failed:
            return _from_item(failed.item, now) if failed.item else CLOSED
        return after

    def close(self, receiver: str, now: datetime) -> None:
        """Close the circuit breaker, whatever state is stored."""
        self._store(receiver, CLOSED, now, None)

    def _store(self, receiver: str, breaker: CircuitBreaker, now: datetime, condition: Condition | None) -> None:
        until = breaker.open_until
        actions = (
            Set("failures", breaker.failures),
            Set("open_until", to_milliseconds(until)) if until else Remove("open_until"),
            Set(EXPIRES_AT, items.epoch_seconds(now + LIFETIME)),
        )
        self.table.update(Update(keys.circuit_breaker(account_sid_of(receiver), receiver), actions, condition))


def _is_stored(breaker: CircuitBreaker, now: datetime) -> Condition:
    if breaker == CLOSED:
        return Or((NotExists("failures"), Equals("failures", 0), LessThan(EXPIRES_AT, items.epoch_seconds(now))))
    until = breaker.open_until
    is_open = Equals("open_until", to_milliseconds(until)) if until else NotExists("open_until")
    return And((Equals("failures", breaker.failures), is_open))


def _from_item(stored: Item, now: datetime) -> CircuitBreaker:
    if int(str(stored[EXPIRES_AT])) < items.epoch_seconds(now):
        return CLOSED
    until = stored.get("open_until")
    return CircuitBreaker(int(str(stored["failures"])), datetime.fromisoformat(str(until)) if until else None)
