"""The alerts of the error log. An alert records a failure that no API response reports.

See docs/behaviour/alerts.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.conversations import Conversation
from convoke.domain.date_filters import Period
from convoke.domain.errors import (
    InternalError,
    InvalidParameterError,
    LogEntry,
    MediaLostError,
    ProvisioningFailedError,
)
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.events import Change, ErrorLogType, Event
from convoke.domain.instants import Instant, to_milliseconds
from convoke.domain.json_schema import IN_EITHER_CASE, word_schema
from convoke.domain.messages import Message
from convoke.domain.model import Model
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.receipts import Receipt
from convoke.domain.retention import LEDGER_LIFETIME
from convoke.domain.sids import Prefix
from convoke.domain.urls import shown_url
from convoke.domain.webhooks import Delivery, Method


class LogLevel(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    DEBUG = "debug"


class Alert(Model):
    """An entry in the error log about the resource `resource_sid`. An alert must not contain personal data."""

    sid: str
    account_sid: str
    service_sid: str | None = None
    conversation_sid: str | None = None
    """The conversation to which the resource belongs. None if the resource belongs to no conversation.

    Also None in the alert about a media that Convoke repeatedly failed to delete.
    """
    resource_sid: str
    code: int
    text: str
    more_info: str
    log_level: LogLevel = LogLevel.ERROR
    causes: tuple[Cause, ...] = ()
    request_method: Method | None = None
    """The HTTP method of the failed webhook request.

    If the alert is not about a webhook request, the fields `request_...` and `response_...` are None.
    """
    request_url: Annotated[str, AfterValidator(shown_url)] | None = None
    response_status: int | None = None
    response_body: str | None = None
    event_id: str | None = None
    """The id of the event or pre-event that Convoke could not deliver. None if the alert is about something else.

    Also None in alerts that older versions of Convoke stored.
    """
    target: str | None = None
    """The target of the failed delivery. None if `event_id` is None, or if Convoke failed to find the targets."""
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + LEDGER_LIFETIME


def parse_log_level(text: str) -> LogLevel:
    try:
        return LogLevel(text.lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="error, warning, notice or debug") from error


LogLevelFilter = Annotated[LogLevel, BeforeValidator(parse_log_level), word_schema(LogLevel, IN_EITHER_CASE)]


class AlertFilters(Period):
    """The filters of the list of alerts: a period and a log level."""

    log_level: LogLevelFilter | None = None


def provisioning_failed_alert(conversation: Conversation, failed: Provisioning, at: datetime) -> Alert:
    """Return the alert about a conversation that Convoke closed because its participants could not be added."""
    return Alert(
        sid=failed.alert_sid,
        account_sid=failed.account_sid,
        service_sid=failed.chat_service_sid,
        conversation_sid=conversation.sid,
        resource_sid=conversation.sid,
        code=ProvisioningFailedError.code,
        text="; ".join([ProvisioningFailedError.text, *map(str, _failed_participants(failed))]),
        more_info=ProvisioningFailedError.more_info,
        causes=failed.causes,
        date_created=at,
    )


def _failed_participants(failed: Provisioning) -> Sequence[str]:
    """Return a text for each cause of the failure, such as `Participant[3] (MB...): 50433`.

    The number in square brackets is the participant's position in the request, from 0. The last number is the error
    code. If the cause applies to every participant, the text is `all participants: ` and the error code.
    """
    places = {member.sid: f"Participant[{place}] ({member.sid})" for place, member in enumerate(failed.participants)}
    return [f"{places.get(cause.participant_sid or '', 'all participants')}: {cause.code}" for cause in failed.causes]


def webhook_failed_alert(delivery: Delivery, attempt: EventAttempt, entry: type[LogEntry], at: datetime) -> Alert:
    """Return the alert about a failed delivery of an event or a pre-event.

    `attempt` is the last attempt of the delivery. `entry` contains the code and the text of the alert.

    The SID of the event, the replay SID and the target determine the SID of the alert. Therefore Convoke stores only
    one alert if it gives up the same delivery twice.
    """
    event = delivery.event
    outcome = f"the answer was {attempt.status}" if attempt.status else attempt.error
    name = f"{event.id}#{delivery.replay_sid}#{delivery.target}"
    return Alert(
        sid=_alert_sid(name),
        account_sid=event.account_sid,
        service_sid=event.payload.get("ChatServiceSid"),
        conversation_sid=event.conversation_sid,
        resource_sid=event.conversation_sid or event.payload["UserSid"],
        code=entry.code,
        text=f"{entry.text}: {outcome} (event {event.id}, target {delivery.target}, attempt {attempt.number})",
        more_info=entry.more_info,
        request_method=delivery.method,
        request_url=delivery.url,
        response_status=attempt.status,
        response_body=attempt.answer,
        event_id=event.id,
        target=delivery.target,
        date_created=at,
    )


def own_failure_alert(event: Event, target: str | None, at: datetime) -> Alert:
    """Return the alert about an event that Convoke itself failed to deliver.

    If `target` is None, Convoke failed to find the targets of the event.
    """
    place = f"target {target}" if target else "all targets"
    return Alert(
        sid=_alert_sid(f"{event.id}#own-failure#{target or ''}"),
        account_sid=event.account_sid,
        service_sid=event.payload.get("ChatServiceSid"),
        conversation_sid=event.conversation_sid,
        resource_sid=event.conversation_sid or event.payload["UserSid"],
        code=InternalError.code,
        text=f"Convoke failed to deliver an event and gave up (event {event.id}, {place})",
        more_info=InternalError().more_info,
        event_id=event.id,
        target=target,
        date_created=at,
    )


def copy_failed_alert(conversation: Conversation, receipt: Receipt, entry: type[LogEntry], at: datetime) -> Alert:
    """Return the alert about a copy that did not reach its phone. The alert contains no address.

    `entry` contains the code and the text of the alert.
    """
    repeated = "; the phone may have got an earlier attempt" if receipt.may_be_repeated else ""
    return Alert(
        sid=_alert_sid(f"{receipt.sid}#{receipt.status}"),
        account_sid=receipt.account_sid,
        service_sid=conversation.chat_service_sid,
        conversation_sid=receipt.conversation_sid,
        resource_sid=receipt.message_sid,
        code=entry.code,
        text=f"{entry.text} (receipt {receipt.sid}, participant {receipt.participant_sid}{repeated})",
        more_info=entry.more_info,
        date_created=at,
    )


def media_lost_alert(message: Message, service_sid: str, sent: int, reasons: Sequence[str], at: datetime) -> Alert:
    """Return the alert about an inbound message that is stored without some or all of its media.

    `sent` is the number of media that the phone sent. `reasons` has one reason for each lost media. A reason must not
    contain a URL, because a URL can contain a phone number or a token.
    """
    lost = f"{len(reasons)} of {sent}, {', '.join(dict.fromkeys(reasons))}"
    return Alert(
        sid=_alert_sid(f"{message.sid}#media-lost"),
        account_sid=message.account_sid,
        service_sid=service_sid,
        conversation_sid=message.conversation_sid,
        resource_sid=message.sid,
        code=MediaLostError.code,
        text=f"{MediaLostError.text}: {lost}",
        more_info=MediaLostError.more_info,
        date_created=at,
    )


def overdue_alert(account_sid: str, resource_sid: str, at: datetime) -> Alert:
    """Return the alert about a due conversation, User, service or media that Convoke repeatedly failed to process."""
    return Alert(
        sid=_alert_sid(f"{resource_sid}#overdue"),
        account_sid=account_sid,
        conversation_sid=resource_sid if resource_sid.startswith(Prefix.CONVERSATION) else None,
        resource_sid=resource_sid,
        code=InternalError.code,
        text="Convoke repeatedly failed to finish a change of the resource, and now tries rarely",
        more_info=InternalError().more_info,
        date_created=at,
    )


def _alert_sid(name: str) -> str:
    """Derive the SID of an alert from `name`, so that the same failure gets only one alert."""
    return Prefix.ALERT + hashlib.sha256(name.encode()).hexdigest()[:32]


def alert_logged_change(alert: Alert) -> Change:
    """Return the change record for a new alert.

    Convoke sends the event in this record to the account's error-log URL, if the account has such a URL. On AWS, the
    event bus also gets the event. The SID of the alert determines the id of the event.
    """
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
    """Return the payload of the event about an alert. The parameters have the same names as at Twilio.

    `ParentAccountSid` is empty, because Convoke has no subaccounts.
    """
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
