"""The circuit breaker of a receiver. After several consecutive failures, Convoke pauses deliveries to the receiver.

There are two kinds of receivers:

- The receiver of a webhook: the scheme, host and port of a webhook URL.
- A line: a business address and a phone. Convoke sends copies of messages from the business address to the phone. Only
  the embedded engine has circuit breakers for lines.

If a delivery after the pause fails, the next pause is twice as long, up to a maximum. A success closes the circuit
breaker. See docs/behaviour/webhook-delivery.md#circuit-breaker.

A delivery fails if the property `is_retryable` of its outcome is True. Any other outcome counts as a success, even a
refusal. The outcomes are `Outcome` in operations/webhook_delivery.py and `CopyOutcome` in operations/message_sender.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from convoke.domain.pauses import doubled_pause

FAILURES_TO_OPEN = 5
"""The number of consecutive failures that opens the circuit breaker."""

LINE_SCHEME = "tel:"
"""The scheme in a key that `line_key` returns. A key from `receiver_key` has the scheme http or https instead."""

FIRST_PAUSE = timedelta(seconds=1)
MAX_PAUSE = timedelta(minutes=1)


def receiver_key(account_sid: str, url: str) -> str:
    """Return the key of the receiver of a webhook, such as `AC... https://example.com:443`. `url` must be valid.

    Two accounts that call the same host have different keys and separate circuit breakers. Therefore the failures of
    one account do not pause the deliveries of the other account.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{account_sid} {parts.scheme}://{parts.hostname}:{port}"


def line_key(account_sid: str, line: str) -> str:
    """Return the key of a line, such as `AC... tel:+15017122661>+15558675310`. `line` is the value of `Copy.line`."""
    return f"{account_sid} {LINE_SCHEME}{line}"


def is_line(receiver: str) -> bool:
    """Return whether the key `receiver` belongs to a line and not to a webhook URL."""
    return receiver.partition(" ")[2].startswith(LINE_SCHEME)


def account_sid_of(receiver: str) -> str:
    """Return the Account SID that the key of a receiver contains."""
    return receiver.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The state of a receiver's circuit breaker.

    While the circuit breaker is closed, deliveries start normally. While the circuit breaker is open, no delivery may
    start before `open_until`. After `open_until`, deliveries start one at a time. On AWS, a few deliveries start during
    a pause: see aws/deliveries.py.
    """

    failures: int = 0
    """The number of consecutive failures."""
    open_until: datetime | None = None
    """The time at which the pause ends. None if the circuit breaker is closed."""

    def after(self, at: datetime, *, is_failure: bool) -> CircuitBreaker:
        """Return the state of the circuit breaker after an attempt that ended at the time `at`."""
        return self._after_failure(at) if is_failure else CLOSED

    def _after_failure(self, at: datetime) -> CircuitBreaker:
        if self._is_paused(at):
            # The failure of a delivery that ends during the pause does not count. Usually, such a delivery started
            # before the pause.
            return self
        failures = self.failures + 1
        if failures < FAILURES_TO_OPEN:
            return CircuitBreaker(failures)
        pause = doubled_pause(FIRST_PAUSE, failures - FAILURES_TO_OPEN, MAX_PAUSE)
        return CircuitBreaker(failures, at + pause)

    def allows(self, at: datetime, *, under_way: int) -> bool:
        """Return whether a delivery may start at the time `at`.

        `under_way` is the number of deliveries to the receiver that are running now. After the pause, only one delivery
        at a time may run, until a delivery succeeds.
        """
        return self.open_until is None or (not self._is_paused(at) and not under_way)

    def _is_paused(self, at: datetime) -> bool:
        # No pause is longer than MAX_PAUSE. If more than MAX_PAUSE is left, the clock was set back. The pause then
        # counts as over.
        return self.open_until is not None and at < self.open_until <= at + MAX_PAUSE


CLOSED = CircuitBreaker()
