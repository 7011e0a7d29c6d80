"""`/convoke/v1/Events/{id}/Attempts/{name}/Request`: the HTTP request of an attempt to deliver an event.

See docs/behaviour/events.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain.webhooks import Method


class AttemptRequestRepresentation(Representation):
    method: Method
    url: str
    headers: dict[str, str]
    body: str | None


FETCH = Contract("AttemptRequest", AttemptRequestRepresentation)


def fetch(operations: Operations, request: Request, event_id: str, attempt_name: str) -> Response:
    sent = operations.events.attempt_request(request.account.sid, event_id, attempt_name)
    representation = AttemptRequestRepresentation(
        method=sent.method, url=sent.url, headers=sent.headers, body=sent.body
    )
    return json_response(representation)
