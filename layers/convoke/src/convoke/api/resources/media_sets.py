"""`/v1/Services/{sid}/MediaSet`: fetches several media with one request, as the chat SDK does.

See docs/behaviour/media.md#several-media.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from pydantic import ValidationError

from convoke.api.contracts import Contract
from convoke.api.errors import problems_of
from convoke.api.operations import Operations
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.resources.media import MediaRepresentation, represent
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.media import MediaSetRequest


class MediaSetEntryRepresentation(Representation):
    code: int
    media_sid: str
    media_record: MediaRepresentation | None


FETCH = Contract("MediaSet", MediaSetEntryRepresentation, array=True, json=MediaSetRequest)


def fetch(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    sids = _requested_sids(request.body)
    found = operations.media.fetch_set(service, sids, request.identity)
    entries = [
        MediaSetEntryRepresentation(
            code=HTTPStatus.OK if media else HTTPStatus.NOT_FOUND,
            media_sid=sid,
            media_record=represent(operations, request, media) if media else None,
        )
        for sid, media in zip(sids, found, strict=True)
    ]
    return json_response(json.dumps([entry.model_dump(mode="json") for entry in entries]))


def _requested_sids(body: bytes) -> list[str]:
    try:
        requested = MediaSetRequest.model_validate_json(body)
    except ValidationError as error:
        raise errors.refusal(problems_of(error)) from error
    return [entry.media_sid for entry in requested.list]
