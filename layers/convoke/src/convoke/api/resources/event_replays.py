"""`/convoke/v1/Events/{id}/Replay`: delivers an event to webhooks again.

See docs/behaviour/events.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.resources.events import event_url
from convoke.api.responses import Response
from convoke.domain.event_replays import NewEventReplay


class CreateEventReplay(NewEventReplay):
    model_config = FORM_NAMES


class EventReplayRepresentation(Representation):
    sid: str
    account_sid: str
    event_id: str
    targets: list[str]
    links: dict[str, str]


CREATE = Contract("EventReplay", EventReplayRepresentation, statuses=(202,), form=CreateEventReplay)


def create(operations: Operations, request: Request, event_id: str) -> Response:
    replay = operations.events.replay(request.account.sid, event_id, parse(CreateEventReplay, request.form))
    url = event_url(request, replay.event.id)
    representation = EventReplayRepresentation(
        sid=replay.sid,
        account_sid=replay.event.account_sid,
        event_id=replay.event.id,
        targets=replay.targets,
        links={"event": url, "attempts": f"{url}/Attempts"},
    )
    return json_response(representation, status=202)
