"""`/v1/Services/{sid}/Media`: files that messages can contain. The paths are those of Twilio's media service.

See docs/behaviour/media.md.
"""

from __future__ import annotations

import re

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, RestDate, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.api.uploads import Upload, upload_body
from convoke.domain import errors
from convoke.domain.media import Category, Media, NewMedia


class UploadMedia(NewMedia):
    model_config = FORM_NAMES


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


CREATE = Contract(
    "Media",
    MediaRepresentation,
    statuses=(201,),
    query=UploadMedia,
    uploads=True,
    errors=(errors.InvalidParameterError, errors.MediaTypeNotAcceptableError, errors.MediaTooLargeError),
)
FETCH = Contract("Media", MediaRepresentation)


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
    if _content_length(request) > operations.media.max_body_bytes:
        raise errors.MediaTooLargeError
    upload = operations.media.begin(service, requested.category, request.identity)
    return Upload(
        request.event, upload, body, lambda media: json_response(represent(operations, request, media), status=201)
    )


def _content_length(request: Request) -> int:
    """Return the value of the header Content-Length, or 0 if the header is missing or empty.

    Raise InvalidParameterError if the value is not a number.
    """
    text = request.headers.get("content-length") or "0"
    if not re.fullmatch("[0-9]{1,18}", text):
        raise errors.InvalidParameterError(parameter="Content-Length", wanted="a number of bytes")
    return int(text)


def fetch(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    return json_response(represent(operations, request, operations.media.fetch(service, sid, request.identity)))
