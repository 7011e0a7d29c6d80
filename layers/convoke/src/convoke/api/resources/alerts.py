"""`/v1/Alerts`: the error log, in the form of Twilio's Monitor Alerts.

See docs/behaviour/alerts.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, RestDate, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain.alerts import Alert, AlertFilters, LogLevel
from convoke.domain.webhooks import Method


class ListAlerts(AlertFilters):
    model_config = FORM_NAMES


class AlertRepresentation(Representation):
    """An alert. The request variables and all headers are None, because they can contain personal data."""

    sid: str
    account_sid: str
    service_sid: str | None
    resource_sid: str
    alert_text: str
    api_version: str | None = "v1"
    date_created: RestDate
    date_generated: RestDate
    date_updated: RestDate
    error_code: str
    log_level: LogLevel
    more_info: str
    request_method: Method | None
    request_url: str | None
    request_variables: None = None
    request_headers: None = None
    response_body: str | None
    response_headers: None = None
    url: str


FETCH = Contract("Alert", AlertRepresentation)
LIST = Contract("Alerts", AlertRepresentation, page="alerts", query=ListAlerts)


def represent(request: Request, alert: Alert) -> AlertRepresentation:
    return AlertRepresentation(
        sid=alert.sid,
        account_sid=alert.account_sid,
        service_sid=alert.service_sid,
        resource_sid=alert.resource_sid,
        alert_text=f"{alert.code}: {alert.text}",
        date_created=alert.date_created,
        date_generated=alert.date_created,
        date_updated=alert.date_created,
        error_code=str(alert.code),
        log_level=alert.log_level,
        more_info=alert.more_info,
        request_method=alert.request_method,
        request_url=alert.request_url,
        response_body=alert.response_body,
        url=request.url(f"/Alerts/{alert.sid}"),
    )


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.alerts.fetch(request.account.sid, sid)))


def list_(operations: Operations, request: Request) -> Response:
    filters, sent = parse_query(ListAlerts, request.query_form)
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url("/Alerts"), "alerts", key, filters=sent, descending=True)
    page = operations.alerts.list(request.account.sid, filters, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
