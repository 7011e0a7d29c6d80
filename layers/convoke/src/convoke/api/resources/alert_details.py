"""`/convoke/v1/Alerts/{sid}`: an alert, with details that Twilio's format of an alert cannot contain.

See docs/behaviour/alerts.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.resources.events import event_url
from convoke.api.responses import Response
from convoke.domain.alerts import Alert, LogLevel
from convoke.domain.webhooks import Method


class AlertCauseRepresentation(Representation):
    participant_sid: str | None
    code: int
    message: str


class AlertDetailsRepresentation(Representation):
    sid: str
    account_sid: str
    service_sid: str | None
    conversation_sid: str | None
    code: int
    text: str
    more_info: str
    log_level: LogLevel
    date_created: StreamDate
    causes: list[AlertCauseRepresentation]
    event_id: str | None
    target: str | None
    request_method: Method | None
    request_url: str | None
    response_status: int | None
    response_body: str | None
    url: str
    links: dict[str, str]


FETCH = Contract("AlertDetails", AlertDetailsRepresentation)


def represent(request: Request, alert: Alert) -> AlertDetailsRepresentation:
    links = {"alert": request.url(f"/Alerts/{alert.sid}")}
    if alert.event_id:
        event = event_url(request, alert.event_id)
        links |= {"event": event, "replay": f"{event}/Replay"}
    return AlertDetailsRepresentation(
        **alert.model_dump(exclude={"causes", "resource_sid"}),
        causes=[
            AlertCauseRepresentation(participant_sid=cause.participant_sid, code=cause.code, message=cause.message)
            for cause in alert.causes
        ],
        url=request.url(f"/Alerts/{alert.sid}", CONVOKE_PREFIX),
        links=links,
    )


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.alerts.fetch(request.account.sid, sid)))
