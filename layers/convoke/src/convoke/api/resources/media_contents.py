"""`/v1/Services/{sid}/Media/{sid}/Content`: the content of a media.

See docs/behaviour/media.md#download.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.requests import Request
from convoke.api.responses import FileResponse, Response
from convoke.domain import errors

DOWNLOAD_HEADERS = {
    # A browser must not guess another content type, and must not run scripts in the content. A cache must not keep the
    # content, because the links to the content expire.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}

FETCH = Contract("MediaContent", None, statuses=(200, 302), downloads=True, errors=(errors.AccessDeniedError,))


def fetch(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
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
        open=partial(operations.media.open, media),
        size=media.content.size,
    )
