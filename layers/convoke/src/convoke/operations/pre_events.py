"""Send pre-events: webhook calls that can modify or reject a change before Convoke stores the change.

See docs/behaviour/webhook-delivery.md#pre-events.
"""

from __future__ import annotations

import json
import logging

from convoke.domain.alerts import webhook_failed_alert
from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookRejectedError
from convoke.domain.event_attempts import OWN_FAILURE, EventAttempt
from convoke.domain.events import Origin, pre_event
from convoke.domain.instants import Clock
from convoke.domain.pre_events import PreEvent, Reply
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import WebhookClient
from convoke.storage.alerts import AlertRepository
from convoke.storage.auth_tokens import AuthTokens
from convoke.storage.webhook_levels import WebhookLevelsRepository
from convoke.webhooks.answers import WebhookUnreachableError

logger = logging.getLogger(__name__)

MAX_REPLY_BYTES = 256 * 1024
"""The maximum size of a receiver's reply in bytes.

A message body and attributes of maximum length fit into the reply, even if the JSON escapes every character.
"""


@lean_dataclass
class PreEvents:
    levels: WebhookLevelsRepository
    alerts: AlertRepository
    auth_tokens: AuthTokens
    client: WebhookClient
    now: Clock
    new_sid: NewSid

    def send(self, pending: PreEvent, origin: Origin) -> Reply:
        """Send a pre-event and return the receiver's reply.

        Raises WebhookRejectedError if the status of the answer is not from 200 to 299. The reply is empty in these
        cases:

        - No webhook is configured for this event, or the account has no Auth Token.
        - No answer arrives, or Convoke itself fails during the call.
        - The status of the answer is from 201 to 299, or the body of the answer is not a JSON object.

        With an empty reply, the request continues without modification.
        """
        account_sid, chat_service_sid, _ = pending.subject
        event = pre_event(self.new_sid(Prefix.CHANGE), pending.subject, pending.data, at=self.now(), origin=origin)
        hook = self.levels.fetch(account_sid, chat_service_sid).pre_hook(event.type)
        token = self.auth_tokens.fetch(account_sid) if hook else None
        if hook is None or token is None:
            return {}
        return self._call(Delivery.to(hook, event), token)

    def _call(self, delivery: Delivery, token: str) -> Reply:
        context = {"event_id": delivery.event.id, "event_type": delivery.event.type, "target": delivery.target}
        attempt = EventAttempt.begun(delivery, 1, self.now())
        try:
            answer = self.client.call(delivery, retry_count=0, auth_token=token, max_answer_bytes=MAX_REPLY_BYTES)
        except WebhookUnreachableError as error:
            logger.warning("no answer to a pre-event, the change goes on", extra=context | {"error": str(error)})
            self._record_alert(delivery, attempt.completed(None, str(error), b"", self.now()), error.entry)
            return {}
        except Exception:
            # The request must not fail with 500, because the client cannot repair the cause.
            logger.exception("a pre-event failed in Convoke, the change goes on", extra=context)
            failed = attempt.completed(None, OWN_FAILURE, b"", self.now())
            self._record_alert(delivery, failed, WebhookFailedError)
            return {}
        if not 200 <= answer.status < 300:
            logger.info("the receiver of a pre-event rejected the change", extra=context | {"status": answer.status})
            raise WebhookRejectedError
        # A status from 201 to 299 accepts the request without modification. The body does not matter.
        return _json_object(answer.body) if answer.status == 200 else {}

    def _record_alert(self, delivery: Delivery, attempt: EventAttempt, entry: type[LogEntry]) -> None:
        """Store an alert. A failure to store the alert is only logged, because the request must continue."""
        try:
            self.alerts.create(webhook_failed_alert(delivery, attempt, entry, self.now()))
        except Exception:
            logger.exception("storing an alert failed", extra={"event_id": delivery.event.id})


def _json_object(body: bytes) -> Reply:
    """Return the JSON object in a body. Returns an empty object if the body is not a JSON object."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
