"""`/convoke/v1/Events`: the ledger, which contains the events of the last 30 days.

See docs/behaviour/events.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.domain.events import AnyEventType, Event, EventFilters


class ListEvents(EventFilters):
    model_config = FORM_NAMES


class EventRepresentation(Representation):
    id: str
    account_sid: str
    conversation_sid: str | None
    event_type: AnyEventType
    occurred_at: StreamDate
    webhooks: bool
    payload: dict[str, str]
    url: str
    links: dict[str, str]


FETCH = Contract("Event", EventRepresentation)
LIST = Contract("Events", EventRepresentation, page="events", max_page_size=MAX_SMALL_PAGE_SIZE, query=ListEvents)


def represent(request: Request, event: Event) -> EventRepresentation:
    url = event_url(request, event.id)
    return EventRepresentation(
        **event.model_dump(exclude={"type", "notify_webhooks", "copies"}),
        event_type=event.type,
        webhooks=event.notify_webhooks,
        url=url,
        links={"attempts": f"{url}/Attempts", "replay": f"{url}/Replay"},
    )


def event_url(request: Request, event_id: str) -> str:
    return request.url(f"/Events/{event_id}", CONVOKE_PREFIX)


def fetch(operations: Operations, request: Request, event_id: str) -> Response:
    return json_response(represent(request, operations.events.fetch(request.account.sid, event_id)))


def list_(operations: Operations, request: Request) -> Response:
    filters, sent = parse_query(ListEvents, request.query_form)
    key = operations.accounts.page_key(request.account.sid)
    url = request.url("/Events", CONVOKE_PREFIX)
    pagination = Pagination(request, url, "events", key, MAX_SMALL_PAGE_SIZE, filters=sent, descending=True)
    page = operations.events.list(request.account.sid, filters, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.id))
