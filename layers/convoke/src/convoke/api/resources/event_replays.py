"""Telling webhooks of an event once more: ours, hence under `/convoke`."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import CreateEventReplay, parse
from convoke.api.representations import Representation, answer
from convoke.api.requests import Request
from convoke.api.resources.events import event_url


class EventReplayRepresentation(Representation):
    sid: str
    account_sid: str
    event_id: str
    targets: list[str]
    links: dict[str, str]


CREATE = Contract("EventReplay", EventReplayRepresentation, statuses=(202,), form=CreateEventReplay)


def create(operations: Operations, request: Request, event_id: str) -> Response[str]:
    replay = operations.events.replay(request.account.sid, event_id, parse(CreateEventReplay, request.form))
    url = event_url(request, replay.event.id)
    made = EventReplayRepresentation(
        sid=replay.sid,
        account_sid=replay.event.account_sid,
        event_id=replay.event.id,
        targets=replay.targets,
        links={"event": url, "attempts": f"{url}/Attempts"},
    )
    return answer(made, status=202)
