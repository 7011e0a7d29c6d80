"""The error log: what went wrong after a request was accepted, or without one (reference, b.1 step 4, and h 13)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator

from convoke.domain.conversations import Conversation
from convoke.domain.errors import InvalidParameterError, LogEntry, ProvisioningFailedError
from convoke.domain.events import LEDGER_LIFETIME, Change, ErrorLogType, Event
from convoke.domain.instants import Instant, to_milliseconds
from convoke.domain.model import Model
from convoke.domain.periods import Period
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.sids import Prefix
from convoke.domain.webhooks import Delivery, EventAttempt, Method


class LogLevel(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    DEBUG = "debug"


class Alert(Model):
    """One entry. `resource_sid` names what it is about; `causes` what led to it. Never personal data."""

    sid: str
    account_sid: str
    service_sid: str | None = None
    conversation_sid: str
    resource_sid: str
    code: int
    text: str
    more_info: str
    log_level: LogLevel = LogLevel.ERROR
    causes: tuple[Cause, ...] = ()
    request_method: Method | None = None
    """Of the webhook that it is about, as the two after it."""
    request_url: str | None = None
    response_status: int | None = None
    response_body: str | None = None
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + LEDGER_LIFETIME


def parse_log_level(text: str) -> LogLevel:
    try:
        return LogLevel(text.lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="error, warning, notice or debug") from error


class AlertFilters(Period):
    log_level: Annotated[LogLevel, BeforeValidator(parse_log_level)] | None = None


def provisioning_failed_alert(conversation: Conversation, failed: Provisioning, at: datetime) -> Alert:
    return Alert(
        sid=failed.alert_sid,
        account_sid=failed.account_sid,
        service_sid=failed.chat_service_sid,
        conversation_sid=conversation.sid,
        resource_sid=conversation.sid,
        code=ProvisioningFailedError.code,
        text="; ".join([ProvisioningFailedError.text, *map(str, _told(failed))]),
        more_info=ProvisioningFailedError.more_info,
        causes=failed.causes,
        date_created=at,
    )


def _told(failed: Provisioning) -> Sequence[str]:
    """Who could not be added, by place in the request and SID, and the code of the reason."""
    places = {member.sid: f"Participant[{place}] ({member.sid})" for place, member in enumerate(failed.participants)}
    return [f"{places.get(cause.participant_sid or '', 'all participants')}: {cause.code}" for cause in failed.causes]


def webhook_failed_alert(delivery: Delivery, attempt: EventAttempt, entry: type[LogEntry], at: datetime) -> Alert:
    """Of one delivery there is one, as its SID follows from the event, the target and the replay."""
    event = delivery.event
    told = f"the answer was {attempt.status}" if attempt.status else attempt.error
    named = f"{event.id}#{delivery.replay_sid}#{delivery.target}"
    return Alert(
        sid=Prefix.ALERT + hashlib.sha256(named.encode()).hexdigest()[:32],
        account_sid=event.account_sid,
        service_sid=event.payload.get("ChatServiceSid"),
        conversation_sid=event.conversation_sid,
        resource_sid=event.conversation_sid,
        code=entry.code,
        text=f"{entry.text}: {told} (event {event.id}, target {delivery.target}, attempt {attempt.number})",
        more_info=entry.more_info,
        request_method=delivery.method,
        request_url=delivery.url,
        response_status=attempt.status,
        response_body=attempt.answer,
        date_created=at,
    )


def alert_logged_change(alert: Alert) -> Change:
    """What announces it, to the bus and to the account's error-log URL. Its SID follows from that of the alert."""
    sid = Prefix.CHANGE + alert.sid.removeprefix(Prefix.ALERT)
    event = Event(
        id=f"{sid}-0",
        type=ErrorLogType.ERROR_LOGGED,
        account_sid=alert.account_sid,
        conversation_sid=alert.conversation_sid,
        occurred_at=alert.date_created,
        payload=_payload(alert),
        notify_webhooks=True,
    )
    return Change(
        sid=sid,
        account_sid=alert.account_sid,
        conversation_sid=alert.conversation_sid,
        events=(event,),
        notify_webhooks=True,
    )


def _payload(alert: Alert) -> dict[str, str]:
    """Twilio's parameters of an error-log webhook; no account here has a parent."""
    return {
        "AccountSid": alert.account_sid,
        "Sid": alert.sid,
        "ParentAccountSid": "",
        "Timestamp": to_milliseconds(alert.date_created),
        "Level": alert.log_level.upper(),
        "PayloadType": "application/json",
        "Payload": json.dumps(_details(alert)),
    }


def _details(alert: Alert) -> dict[str, object]:
    causes = [cause.model_dump(mode="json", exclude_none=True) for cause in alert.causes]
    request = {"method": alert.request_method, "url": alert.request_url}
    response = {"status_code": alert.response_status, "body": alert.response_body}
    return {
        "resource_sid": alert.resource_sid,
        "service_sid": alert.service_sid,
        "error_code": str(alert.code),
        "more_info": {"Msg": alert.text, "ErrorCode": str(alert.code), "url": alert.more_info, "causes": causes},
        "webhook": {"request": request, "response": response} if alert.request_url else None,
    }
