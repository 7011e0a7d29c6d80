"""`/v1/Services/{sid}/Media`: files that messages can contain. The paths are those of Twilio's media service.

See docs/behaviour/media.md.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from pydantic import ValidationError

from convoke.api.contracts import Contract
from convoke.api.errors import problems_of
from convoke.api.operations import Operations
from convoke.api.parameters import UploadMedia, parse_query
from convoke.api.representations import Representation, RestDate, json_response
from convoke.api.requests import Request
from convoke.api.responses import FileResponse, Response
from convoke.api.uploads import Upload, upload_body
from convoke.domain import errors
from convoke.domain.media import Category, Media, MediaSetRequest

DOWNLOAD_HEADERS = {
    # A browser must not guess another type, and no cache may keep the content longer than the link is valid.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


class MediaLinks(Representation):
    content: str
    content_direct_temporary: str


class MediaRepresentation(Representation):
    sid: str
    service_sid: str
    channel_sid: str | None
    message_sid: str | None
    date_created: RestDate
    date_updated: RestDate
    date_upload_updated: RestDate
    size: int
    content_type: str
    filename: str | None
    author: str | None
    category: Category
    url: str
    links: MediaLinks


class MediaSetEntryRepresentation(Representation):
    code: int
    media_sid: str
    media_record: MediaRepresentation | None


CREATE = Contract(
    "Media",
    MediaRepresentation,
    statuses=(201,),
    query=UploadMedia,
    uploads=True,
    errors=(errors.InvalidParameterError, errors.MediaTypeNotAcceptableError, errors.MediaTooLargeError),
)
FETCH = Contract("Media", MediaRepresentation)
FETCH_CONTENT = Contract("Media", None, statuses=(200, 302), downloads=True, errors=(errors.AccessDeniedError,))
FETCH_SET = Contract("MediaSet", MediaSetEntryRepresentation, array=True, json=MediaSetRequest)


def represent(operations: Operations, request: Request, media: Media) -> MediaRepresentation:
    assert media.content is not None
    url = request.url(f"/Services/{media.chat_service_sid}/Media/{media.sid}")
    temporary = operations.media.link(media, request.base_url)
    return MediaRepresentation(
        sid=media.sid,
        service_sid=media.chat_service_sid,
        channel_sid=media.conversation_sid,
        message_sid=media.message_sid,
        date_created=media.date_created,
        date_updated=media.date_updated,
        date_upload_updated=media.date_updated,
        size=media.content.size,
        content_type=media.content.content_type,
        filename=media.content.filename,
        author=media.author,
        category=media.category,
        url=url,
        links=MediaLinks(content=f"{url}/Content", content_direct_temporary=temporary),
    )


def create(operations: Operations, request: Request, chat_service_sid: str) -> Upload:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    requested, _ = parse_query(UploadMedia, request.query_form)
    body = upload_body(request.headers.get("content-type", ""), requested.filename)
    if int(request.headers.get("content-length") or 0) > operations.media.max_body_bytes:
        raise errors.MediaTooLargeError
    upload = operations.media.begin(service, requested.category, request.identity)
    return Upload(
        request.event, upload, body, lambda media: json_response(represent(operations, request, media), status=201)
    )


def fetch(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    return json_response(represent(operations, request, operations.media.fetch(service, sid, request.identity)))


def fetch_content(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    media = operations.media.fetch(service, sid, request.identity)
    if link := operations.media.direct_link(media):
        return Response(HTTPStatus.FOUND, headers={"Location": link, "Cache-Control": "no-store"})
    assert media.content is not None
    headers = {"Content-Disposition": media.disposition, **DOWNLOAD_HEADERS}
    return FileResponse(
        HTTPStatus.OK,
        media.shown_type,
        headers=headers,
        file=operations.media.open(media),
        size=media.content.size,
    )


def fetch_set(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    """Return several media. The chat SDK sends the command `get`, and one entry for each media."""
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
