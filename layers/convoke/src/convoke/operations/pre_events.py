"""Asks the receiver of pre-events before a change is made (reference, d.4)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from convoke.domain.alerts import webhook_failed_alert
from convoke.domain.errors import WebhookRejectedError
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import pre_event
from convoke.domain.instants import Clock
from convoke.domain.pre_events import PreEvent, Reply
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.webhooks import Delivery
from convoke.operations.ports import WebhookClient
from convoke.storage.alerts import AlertRepository
from convoke.storage.auth_tokens import AuthTokens
from convoke.storage.configuration_webhooks import WebhookLevelsRepository
from convoke.webhooks.answers import WebhookUnreachableError

logger = logging.getLogger(__name__)

MAX_REPLY_BYTES = 256 * 1024
"""Bytes: the longest body and attributes fit, however their characters are escaped."""


class RequestWebhooks:
    """Whether webhooks are told of one request, and what the receiver of its pre-event said to it.

    It is asked once, however often the request has to be tried again.
    """

    def __init__(self, pre_events: PreEvents, *, enabled: bool) -> None:
        self.enabled = enabled
        self._pre_events = pre_events
        self._reply: Reply | None = None

    def ask(self, pending: Callable[[], PreEvent]) -> Reply:
        """What is to replace fields of the pending change. Raises WebhookRejectedError."""
        if not self.enabled:
            return {}
        if self._reply is None:
            self._reply = self._pre_events.ask(pending())
        return self._reply


@dataclass(frozen=True, slots=True)
class PreEvents:
    levels: WebhookLevelsRepository
    alerts: AlertRepository
    auth_tokens: AuthTokens
    client: WebhookClient
    now: Clock
    new_sid: NewSid

    def of_request(self, *, enabled: bool) -> RequestWebhooks:
        return RequestWebhooks(self, enabled=enabled)

    def ask(self, pending: PreEvent) -> Reply:
        """The receiver's answer; nothing where there is none that wants to know, or none that answers in time."""
        account_sid, chat_service_sid, _ = pending.subject
        event = pre_event(self.new_sid(Prefix.CHANGE), pending.subject, pending.data, at=self.now())
        hook = self.levels.fetch(account_sid, chat_service_sid).pre_hook(event.type)
        token = self.auth_tokens.fetch(account_sid) if hook else None
        if hook is None or token is None:
            return {}
        return self._call(Delivery.to(hook, event), token)

    def _call(self, delivery: Delivery, token: str) -> Reply:
        about = {"event_id": delivery.event.id, "event_type": delivery.event.type, "target": delivery.target}
        attempt = EventAttempt.begun(delivery, 1, self.now())
        try:
            answer = self.client.call(delivery, retry_count=0, auth_token=token, longest_answer=MAX_REPLY_BYTES)
        except WebhookUnreachableError as error:
            logger.warning("a pre-event was not answered; the change goes on", extra=about | {"error": str(error)})
            self._log(delivery, attempt, error)
            return {}
        if not 200 <= answer.status < 300:
            logger.info("a pre-event was refused", extra=about | {"status": answer.status})
            raise WebhookRejectedError
        return _fields(answer.body) if answer.status == 200 else {}

    def _log(self, delivery: Delivery, attempt: EventAttempt, error: WebhookUnreachableError) -> None:
        """What the error log cannot take does not hold up the change either."""
        now = self.now()
        try:
            unanswered = attempt.completed(None, str(error), b"", now)
            self.alerts.create(webhook_failed_alert(delivery, unanswered, error.entry, now))
        except Exception:
            logger.exception("an alert was not logged", extra={"event_id": delivery.event.id})


def _fields(body: bytes) -> Reply:
    """Whatever is no JSON object says nothing."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
