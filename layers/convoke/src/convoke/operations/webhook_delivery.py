"""Delivers events to webhooks: one message a target, one attempt a message (promise 7; reference, d.5)."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import NamedTuple

from convoke.domain.alerts import webhook_failed_alert
from convoke.domain.errors import LogEntry, WebhookFailedError
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import ErrorLogType, Event, ReplayType
from convoke.domain.instants import Clock
from convoke.domain.scoped_webhooks import hooks_for_event
from convoke.domain.webhooks import ERROR_LOG, Delivery, Method
from convoke.observability import Measure, Metrics
from convoke.operations.message_replays import MessageReplay
from convoke.operations.ports import DeliveryQueue, WebhookClient
from convoke.storage.accounts import AccountRepository
from convoke.storage.alerts import AlertRepository
from convoke.storage.auth_tokens import AuthTokens
from convoke.storage.configuration_webhooks import WebhookLevelsRepository
from convoke.storage.events import EventAttemptRepository
from convoke.webhooks.answers import WebhookUnreachableError

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4096
"""Bytes of an answer that are read."""

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
    answer: bytes = b""
    entry: type[LogEntry] = WebhookFailedError
    """What the error log calls it, should it be the last."""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def may_be_retried(self) -> bool:
        return self.status is None or self.status in RETRIED_STATUSES


@dataclass(frozen=True, slots=True)
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
        """Send one message for each target that wants the event, or those that a replay is made of."""
        if event.type is ReplayType.MESSAGES:
            self.message_replay.split(event)
        elif deliveries := self._deliveries(event):
            self.queue.send(deliveries)

    def replay(self, event: Event, replay_sid: str, target: str | None) -> list[str]:
        """Send the same messages again, or that for one target; answers the targets."""
        wanted = [each for each in self._deliveries(event) if target in (None, each.target)]
        if wanted:
            self.queue.send([each.model_copy(update={"replay_sid": replay_sid}) for each in wanted])
        return [each.target for each in wanted]

    def deliver(self, delivery: Delivery, number: int) -> None:
        """Make attempt `number`, counted from 1, and record it before and after.

        Raises RetryLaterError or DeliveryFailedError; returns where the receiver took the event.
        """
        token = self.auth_tokens.fetch(delivery.event.account_sid)
        if token is None:
            raise self._failed("the account has no Auth Token to sign with")
        attempt = EventAttempt.begun(delivery, number, self.now())
        self.attempts.put(delivery, attempt)
        outcome = self._call(delivery, number, token)
        completed = attempt.completed(outcome.status, outcome.error, outcome.answer, self.now())
        self.attempts.put(delivery, completed)
        self._conclude(delivery, completed, outcome)

    def _deliveries(self, event: Event) -> list[Delivery]:
        if event.type is ErrorLogType.ERROR_LOGGED:
            return self._to_error_log(event)
        if not event.notify_webhooks:
            return []
        account_sid, service_sid = event.account_sid, event.payload["ChatServiceSid"]
        levels, scoped = self.levels.fetch_with_scoped(account_sid, service_sid, event.conversation_sid)
        hooks = (levels.post_hook(event.type), *hooks_for_event(scoped, event))
        return [Delivery.to(hook, event) for hook in hooks if hook]

    def _to_error_log(self, event: Event) -> list[Delivery]:
        account = self.accounts.fetch(event.account_sid)
        if account is None or account.error_log_url is None:
            return []
        return [Delivery(event=event, target=ERROR_LOG, url=account.error_log_url, method=Method.POST)]

    def _conclude(self, delivery: Delivery, attempt: EventAttempt, outcome: Outcome) -> None:
        """Return where the receiver took the event; raise what becomes of the message where it did not."""
        if outcome.is_taken:
            self.metrics.add(Measure.DELIVERED)
            return
        about = {"event_id": attempt.event_id, "target": attempt.target, "attempt": attempt.number}
        logger.warning(
            "a webhook did not take an event", extra={**about, "status": outcome.status, "error": outcome.error}
        )
        if attempt.number <= delivery.connection.retries and outcome.may_be_retried:
            raise RetryLaterError(pause_after(attempt.number))
        if delivery.target != ERROR_LOG:
            self.alerts.create(webhook_failed_alert(delivery, attempt, outcome.entry, self.now()))
        raise self._failed(outcome.error or f"the receiver answered {outcome.status}")

    def _failed(self, reason: str) -> DeliveryFailedError:
        self.metrics.add(Measure.DELIVERY_FAILED)
        return DeliveryFailedError(reason)

    def _call(self, delivery: Delivery, number: int, token: str) -> Outcome:
        try:
            answer = self.client.call(
                delivery, retry_count=number - 1, auth_token=token, longest_answer=MAX_ANSWER_BYTES
            )
        except WebhookUnreachableError as error:
            return Outcome(None, str(error), entry=error.entry)
        return Outcome(answer.status, answer=answer.body)


def pause_after(number: int) -> float:
    """Seconds to wait after attempt `number`: 2, 4, 8, ..., half of it by chance, so that none is hit in step."""
    return (1 << number) * random.uniform(0.5, 1)  # noqa: S311  (jitter, no secret)
