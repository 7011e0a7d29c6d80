"""The resource `/convoke/v1/Requests`: the last requests of the account. The engine on AWS never has this resource."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.api.routes import Endpoint
from convoke.domain.errors import InvalidParameterError
from convoke.domain.request_filters import RequestFilters
from convoke.embedded.request_log import LoggedRequest, RequestLog

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler


class ListRequests(RequestFilters):
    model_config = FORM_NAMES


class LoggedRequestRepresentation(Representation):
    number: int
    method: str
    route: str | None
    path: str
    query: str
    form: str
    status: int
    code: int | None
    milliseconds: float
    date_created: StreamDate


class LoggedRequestsRepresentation(Representation):
    requests: list[LoggedRequestRepresentation]


FETCH = Contract("Requests", LoggedRequestsRepresentation, query=ListRequests, errors=(InvalidParameterError,))


def request_log_endpoint(log: RequestLog, rule_of: Callable[[str], str | None]) -> Endpoint[AccountHandler]:
    """Return the handler of the request log, and its contract.

    `rule_of` returns the rule, such as `/v1/Services/<sid>`, of the route that matches a path.
    """

    def represent(logged: LoggedRequest) -> LoggedRequestRepresentation:
        fields = {name: value for name, value in logged._asdict().items() if name != "user"}
        rule = rule_of(logged.path)
        return LoggedRequestRepresentation(**fields, route=rule and re.sub(r"<(\w+)>", r"{\1}", rule))

    def fetch(operations: Operations, request: Request) -> Response:
        filters, _ = parse_query(ListRequests, request.query_form)
        logged = log.of_account(request.account.sid, filters.after, operations.accounts.api_keys.owner)
        return json_response(LoggedRequestsRepresentation(requests=[represent(each) for each in logged]))

    return Endpoint(fetch, FETCH)
