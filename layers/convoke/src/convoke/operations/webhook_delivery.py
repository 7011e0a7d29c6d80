"""Deliver events to webhooks and error-log URLs. Each target of an event has its own queue message.

The engines determine when Convoke makes an attempt. See docs/behaviour/webhook-delivery.md#retries.
"""

from __future__ import annotations

import logging
import random
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from convoke.domain.alerts import own_failure_alert, webhook_failed_alert
from convoke.domain.circuit_breakers import CircuitBreaker, account_sid_of
from convoke.domain.errors import LogEntry, WebhookFailedError
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import ErrorLogType, Event, ReplayType
from convoke.domain.instants import Clock
from convoke.domain.scoped_webhooks import hooks_for_event
from convoke.domain.webhooks import ERROR_LOG, Delivery, Method
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import Measure, Metrics
from convoke.operations.message_replays import MessageReplay
from convoke.operations.ports import DeliveryQueue, RetryLaterError, WebhookClient
from convoke.storage.accounts import AccountRepository
from convoke.storage.alerts import AlertRepository
from convoke.storage.auth_tokens import AuthTokens
from convoke.storage.event_attempts import EventAttemptRepository
from convoke.storage.webhook_levels import WebhookLevelsRepository
from convoke.webhooks.answers import WebhookUnreachableError

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4096

RETRIED_STATUSES = frozenset({429, *range(500, 600)})


class DeliveryFailedError(Exception):
    """The delivery failed permanently. The queue message must move to the dead-letter queue.

    Either no attempts remain, or a further attempt cannot succeed.
    """


class Outcome(NamedTuple):
    """The result of an attempt: an HTTP status, or the error that prevented an answer."""

    status: int | None
    error: str | None = None
    answer: bytes = b""
    entry: type[LogEntry] = WebhookFailedError
    """The kind of alert to record if this is the last attempt."""

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def is_answered(self) -> bool:
        return self.status is not None

    @property
    def is_retryable(self) -> bool:
        """Whether a further attempt can succeed. The circuit breaker counts only a retryable outcome as a failure."""
        return self.status is None or self.status in RETRIED_STATUSES


class BegunDelivery(NamedTuple):
    """An attempt whose start is already recorded. The receiver can be called now."""

    delivery: Delivery
    attempt: EventAttempt
    token: str

    def is_retried_after(self, outcome: Outcome) -> bool:
        """Return whether a further attempt follows if this attempt ends with `outcome`."""
        return _is_retried(self.delivery, self.attempt.number, outcome)


@lean_dataclass
class WebhookDelivery:
    levels: WebhookLevelsRepository
    accounts: AccountRepository
    attempts: EventAttemptRepository
    alerts: AlertRepository
    auth_tokens: AuthTokens
    message_replay: MessageReplay
    queue: DeliveryQueue
    client: WebhookClient
    now: Clock
    metrics: Metrics

    def split(self, event: Event) -> None:
        """Enqueue one queue message for each target of the event: a webhook, or the error-log URL of the account.

        If the event starts or continues a message replay, the method instead enqueues the delivery of the replay's next
        message. See `MessageReplay.split`.
        """
        if event.type is ReplayType.MESSAGES:
            self.message_replay.split(event)
        elif deliveries := self._deliveries(event):
            self.queue.send(deliveries)

    def replay(self, event: Event, replay_sid: str, target: str | None) -> list[str]:
        """Enqueue the deliveries of an event to its current targets. Return the targets of the enqueued deliveries.

        If `target` is not None, only the delivery to this target is enqueued.
        """
        deliveries = [each for each in self._deliveries(event) if target in (None, each.target)]
        if deliveries:
            self.queue.send([each.model_copy(update={"replay_sid": replay_sid}) for each in deliveries])
        return [each.target for each in deliveries]

    def next_number(self, delivery: Delivery) -> int | None:
        """Return the number of the attempt to make now. Return None if the receiver has already accepted the event.

        Usually, the number follows the number of the last recorded attempt. In two cases, the last attempt is repeated
        with the same number:

        - The last attempt has no result, because a failure of Convoke interrupted it. Such an attempt does not count.
        - No attempt may follow the last attempt. The queue message exists nevertheless, because Convoke failed before
          the end of the delivery.
        """
        last = self.attempts.fetch_last(delivery)
        if last is None:
            return 1
        outcome = Outcome(last.status, last.error)
        if outcome.is_delivered:
            return None
        is_over = last.is_completed and _is_retried(delivery, last.number, outcome)
        return last.number + 1 if is_over else last.number

    def begin(self, delivery: Delivery, number: int) -> BegunDelivery:
        """Record that attempt `number` starts. The first attempt has the number 1.

        Raises DeliveryFailedError if the account has no Auth Token. Even then, a message replay continues.
        """
        token = self.auth_tokens.fetch(delivery.event.account_sid)
        if token is None:
            self._send_next(delivery)
            raise self._report_failure("the account has no Auth Token to sign with")
        attempt = EventAttempt.begun(delivery, number, self.now())
        # Record the attempt before the call. If the process crashes, the ledger shows that the receiver may have
        # received the event.
        self.attempts.put(delivery, attempt)
        return BegunDelivery(delivery, attempt, token)

    def call(self, begun: BegunDelivery) -> Outcome:
        """Call the receiver and wait for its answer.

        This method uses neither the table nor the queue, so that the embedded engine can call it on a worker thread.
        """
        try:
            answer = self.client.call(
                begun.delivery,
                retry_count=begun.attempt.number - 1,
                auth_token=begun.token,
                max_answer_bytes=MAX_ANSWER_BYTES,
            )
        except WebhookUnreachableError as error:
            return Outcome(None, str(error), entry=error.entry)
        return Outcome(answer.status, answer=answer.body)

    def finish(self, begun: BegunDelivery, outcome: Outcome, paused_until: datetime | None = None) -> None:
        """Record the outcome. If the receiver did not accept the event, raise RetryLaterError or DeliveryFailedError.

        `paused_until` is the time until which the receiver's circuit breaker pauses deliveries. None means that
        deliveries are not paused. The outcome and `paused_until` are recorded together.
        """
        # Enqueue the event that continues a message replay before the result is stored. If the process crashes in
        # between, the attempt is repeated, and this event is enqueued twice but never lost.
        if not _is_retried(begun.delivery, begun.attempt.number, outcome):
            self._send_next(begun.delivery)
        completed = begun.attempt.completed(outcome.status, outcome.error, outcome.answer, self.now(), paused_until)
        self.attempts.put(begun.delivery, completed)
        self._conclude(begun, completed, outcome)

    def report_own_failure(self, message: Delivery | Event) -> None:
        """Store an alert about a queue message that Convoke itself could not process.

        If the queue message is a delivery of a message replay, also continue the replay.

        No alert is stored if the event of the queue message is about an alert. A failure to store the alert is only
        logged, because the queue message must reach the dead-letter queue. A failure to continue the replay is raised.
        """
        delivery = message if isinstance(message, Delivery) else None
        event, now = delivery.event if delivery else message, self.now()
        assert isinstance(event, Event)
        try:
            # If the event is about an alert, create no further alert. See the comment in `_conclude`.
            if event.type is not ErrorLogType.ERROR_LOGGED:
                self.alerts.create(own_failure_alert(event, delivery.target if delivery else None, now))
        except Exception:
            logger.exception("storing an alert failed", extra={"event_id": event.id})
        # Continue the replay last. If the failure to store the alert has dropped the embedded engine's unit of work, a
        # new unit enqueues the event that continues the replay, and moves the queue message to the dead-letter queue.
        if delivery:
            self._send_next(delivery)
        self.metrics.add(Measure.DELIVERY_FAILED)

    def _send_next(self, delivery: Delivery) -> None:
        """If the delivery belongs to a message replay, enqueue the event that continues the replay.

        Do nothing after the last message of the replay.
        """
        if delivery.followed_by:
            self.queue.send([delivery.followed_by])

    def _deliveries(self, event: Event) -> list[Delivery]:
        if event.type is ErrorLogType.ERROR_LOGGED:
            return self._error_log_deliveries(event)
        if not event.notify_webhooks:
            return []
        account_sid, service_sid = event.account_sid, event.payload["ChatServiceSid"]
        if event.conversation_sid:
            levels, scoped = self.levels.fetch_with_scoped(account_sid, service_sid, event.conversation_sid)
            hooks = [levels.post_hook(event.type), *hooks_for_event(scoped, event)]
        else:
            hooks = [self.levels.fetch(account_sid, service_sid).post_hook(event.type)]
        return [Delivery.to(hook, event) for hook in hooks if hook]

    def _error_log_deliveries(self, event: Event) -> list[Delivery]:
        account = self.accounts.fetch(event.account_sid)
        if account is None or account.error_log_url is None:
            return []
        return [Delivery(event=event, target=ERROR_LOG, url=account.error_log_url, method=Method.POST)]

    def _conclude(self, begun: BegunDelivery, attempt: EventAttempt, outcome: Outcome) -> None:
        """Do nothing if the receiver accepted the event. Otherwise raise RetryLaterError or DeliveryFailedError.

        Before DeliveryFailedError, the method stores an alert, unless the event is about an alert.
        """
        if outcome.is_delivered:
            self.metrics.add(Measure.DELIVERED)
            return
        context = {"event_id": attempt.event_id, "target": attempt.target, "attempt": attempt.number}
        logger.warning(
            "a webhook did not accept an event", extra={**context, "status": outcome.status, "error": outcome.error}
        )
        if begun.is_retried_after(outcome):
            raise RetryLaterError(retry_delay_seconds(attempt.number))
        # If the delivery of an alert failed, record no new alert. The delivery of the new alert would probably fail
        # too, and would cause yet another alert.
        if begun.delivery.target != ERROR_LOG:
            self.alerts.create(webhook_failed_alert(begun.delivery, attempt, outcome.entry, self.now()))
        raise self._report_failure(outcome.error or f"the receiver answered {outcome.status}")

    def _report_failure(self, reason: str) -> DeliveryFailedError:
        self.metrics.add(Measure.DELIVERY_FAILED)
        return DeliveryFailedError(reason)


def _is_retried(delivery: Delivery, number: int, outcome: Outcome) -> bool:
    """Return whether another attempt follows attempt `number` if this attempt ends with `outcome`."""
    return number <= delivery.connection.retries and outcome.is_retryable


def without_continuation(body: str) -> str:
    """Return the body of a queue message for the dead-letter queue.

    If the queue message is a delivery of a message replay, the result lacks the event that continues the replay. This
    event is already enqueued. If the dead letter contained the event, redriving the dead letter would repeat the rest
    of the replay.
    """
    try:
        delivery = Delivery.model_validate_json(body)
    except ValidationError:
        return body
    return delivery.model_copy(update={"followed_by": None}).model_dump_json() if delivery.followed_by else body


def report_pause(receiver: str, breaker: CircuitBreaker) -> None:
    """If the circuit breaker of a receiver is open, log that the deliveries to the receiver pause."""
    if breaker.open_until:
        logger.warning(
            "deliveries to a receiver pause",
            extra={"account_sid": account_sid_of(receiver), "failures": breaker.failures},
        )


def retry_delay_seconds(number: int) -> float:
    """Return the pause in seconds after attempt `number`.

    The maximum pause is 2 seconds after the first attempt, and doubles with each further attempt. Jitter shortens the
    pause by at most half. Without jitter, deliveries that fail at the same time would be retried at the same time.
    """
    return (1 << number) * random.uniform(0.5, 1)  # noqa: S311  (jitter, not a secret)
