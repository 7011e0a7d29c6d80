"""`/convoke/v1/Events/{id}/Attempts`: the attempts to deliver an event to webhooks.

See docs/behaviour/events.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import Request
from convoke.api.resources.events import event_url
from convoke.api.responses import Response
from convoke.domain.event_attempts import EventAttempt
from convoke.domain.webhooks import Method


class EventAttemptRepresentation(Representation):
    event_id: str
    replay_sid: str | None
    target: str
    number: int
    method: Method
    url: str
    started_at: StreamDate
    status: int | None
    milliseconds: int | None
    error: str | None
    answer: str | None
    paused_until: StreamDate | None
    links: dict[str, str]


LIST = Contract("EventAttempts", EventAttemptRepresentation, page="attempts")


def represent(request: Request, attempt: EventAttempt) -> EventAttemptRepresentation:
    """Return the representation of an attempt.

    `url` is the URL of the receiver, because the API has no URL for a single attempt.
    """
    return EventAttemptRepresentation(
        event_id=attempt.event_id,
        replay_sid=attempt.replay_sid or None,
        target=attempt.target,
        number=attempt.number,
        method=attempt.method,
        url=attempt.url,
        started_at=attempt.started_at,
        status=attempt.status,
        milliseconds=attempt.milliseconds,
        error=attempt.error,
        answer=attempt.answer,
        paused_until=attempt.paused_until,
        links={"request": attempt_request_url(request, attempt.event_id, attempt.name)},
    )


def attempt_request_url(request: Request, event_id: str, attempt_name: str) -> str:
    return f"{event_url(request, event_id)}/Attempts/{attempt_name}/Request"


def list_(operations: Operations, request: Request, event_id: str) -> Response:
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, f"{event_url(request, event_id)}/Attempts", "attempts", key)
    page = operations.events.list_attempts(request.account.sid, event_id, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.position))
