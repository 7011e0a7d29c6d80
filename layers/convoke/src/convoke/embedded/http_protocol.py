"""Extend uvicorn's HTTP protocol with limits on connections and requests.

The limits apply while a request arrives, before the application handles it. With the parser httptools, uvicorn itself
does not limit the size or the duration of a request. This module overrides methods of uvicorn's protocol class, so
pyproject.toml limits the version of uvicorn. docs/behaviour/limits.md#http-requests lists the limits.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from convoke.api.errors import JSON
from convoke.domain.errors import ConversationsError, InvalidParameterError, UnavailableError
from convoke.embedded.failures import LogLimit
from convoke.embedded.transfers import DEADLINE

logger = logging.getLogger(__name__)

CHAT_PATH = b"/v3/wsconnect"
"""The path of the WebSocket for chat clients."""

MAX_TARGET_BYTES = 8 * 1024
MAX_HEADER_BYTES = 16 * 1024
"""The maximum total size of all headers of a request, names and values."""

MAX_HEADERS = 100

MAX_BYTES_WITHOUT_PROGRESS = 2 * (MAX_TARGET_BYTES + MAX_HEADER_BYTES)
"""How many bytes a client may send before the end of the headers, or between two parts of the body.

The parser keeps an incomplete header in memory. Without this limit, an endless header would fill the memory.
"""

REQUEST_TIMEOUT_SECONDS = 30.0
"""How long a client may take to send a whole request, except an upload (UPLOAD_TIMEOUT_SECONDS in transfers.py).

For the first request of a connection, the time starts when the client connects.
"""

KEEP_ALIVE_SECONDS = 60
"""The time after which the server closes a connection that is idle after a response.

If a client sends a request at the moment when the server closes the connection, the request fails. Clients usually keep
connections for less than a minute, so this failure is rare. With uvicorn's default of 5 seconds, the failure would be
frequent.
"""

MAX_CONNECTIONS = 800
"""The maximum number of open connections.

The usual limit on open files of a process is 1,024. MAX_CONNECTIONS leaves some of these files for the data file and
for calls to webhooks.
"""


class RefusedRequestError(Exception):
    """A request exceeds a limit. The parser stops, and the client gets `status`."""

    def __init__(self, status: HTTPStatus, parameter: str, wanted: str) -> None:
        super().__init__()
        self.status = status
        self.error = InvalidParameterError(parameter=parameter, wanted=wanted)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. If a request exceeds a limit, the client gets an error, and the connection is closed."""

    max_connections = MAX_CONNECTIONS
    request_timeout_seconds = REQUEST_TIMEOUT_SECONDS

    log_limit = LogLimit()
    """Limits how often the log reports that MAX_CONNECTIONS is reached. All connections share this object."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._refusal: RefusedRequestError | None = None
        self._is_refused = False
        self._is_in_head = True
        self._is_incomplete = False
        self._header_bytes = self._header_count = self._bytes_without_progress = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._timeout_seconds = self.request_timeout_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            if self.log_limit.allows_line():
                logger.warning("the limit of %d connections is reached; new connections get 503", self.max_connections)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, UnavailableError())
        else:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._bytes_without_progress += len(data)
        self._feed(data)
        if self._is_refused or self.parser is None:
            return
        if self._bytes_without_progress > MAX_BYTES_WITHOUT_PROGRESS:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                InvalidParameterError(parameter="headers", wanted=f"at most {MAX_HEADER_BYTES} bytes"),
            )
        elif self._is_incomplete and self._deadline is None:
            self._start_deadline()

    def _feed(self, data: bytes) -> None:
        """Parse the next bytes of the connection.

        uvicorn's own method logs each request that is not valid HTTP. A client without credentials could fill the disk
        with such log lines, so this method logs nothing.
        """
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._cancel_deadline()
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            if self._refusal is not None:
                self._refuse(self._refusal.status, self._refusal.error)
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, InvalidParameterError(parameter="request", wanted="valid HTTP"))

    def _should_upgrade(self) -> bool:
        """Return whether the request opens the WebSocket of a chat client.

        On all other paths, the server ignores the header `Upgrade` (RFC 9110, section 7.8).
        """
        return self.url.partition(b"?")[0] == CHAT_PATH and self._get_upgrade() == b"websocket"

    def handle_websocket_upgrade(self) -> None:
        # Import here, when the first chat client connects. The import takes 11 ms and 0.5 MB of memory.
        from convoke.embedded.chat.websocket import ChatWebSocket  # noqa: PLC0415 - see above

        self.ws_protocol_class = ChatWebSocket
        super().handle_websocket_upgrade()

    # The methods `on_...` are callbacks of the parser. If a callback raises an exception, `feed_data` raises
    # HttpParserError.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = self._is_incomplete = True
        self._header_bytes = self._header_count = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            self._stop(HTTPStatus.REQUEST_URI_TOO_LONG, "The path with the query", f"at most {MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_count > MAX_HEADERS:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", f"at most {MAX_HEADERS}")
        if self._header_bytes > MAX_HEADER_BYTES:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", f"at most {MAX_HEADER_BYTES} bytes")
        # A field that arrives after the head is a trailer. A trailer must not be treated as a header (RFC 9110, section
        # 6.5.1).
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._bytes_without_progress = 0
        self.scope["extensions"] = {DEADLINE: {"extend": self._extend_deadline}}
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_without_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_incomplete = False
        self._bytes_without_progress = 0
        self._cancel_deadline()
        super().on_message_complete()

    def _stop(self, status: HTTPStatus, parameter: str, wanted: str) -> None:
        self._refusal = RefusedRequestError(status, parameter, wanted)
        raise self._refusal

    def _start_deadline(self) -> None:
        self._timeout_seconds = self.request_timeout_seconds
        self._deadline = self.loop.call_later(self._timeout_seconds, self._deadline_reached)

    def _extend_deadline(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._timeout_seconds = seconds
            self._deadline = self.loop.call_later(seconds, self._deadline_reached)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _deadline_reached(self) -> None:
        if self._is_incomplete:
            wanted = f"complete after at most {self._timeout_seconds:g} seconds"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, InvalidParameterError(parameter="request", wanted=wanted))
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, error: ConversationsError) -> None:
        """Send an error and close the connection.

        If the response to an earlier request is not yet complete, the server completes this response and sends no
        error.
        """
        self._is_refused = True
        self._cancel_deadline()
        earlier = self.cycle
        if earlier is not None and not earlier.more_body and not earlier.response_complete:
            earlier.keep_alive = False
            return
        self.transport.write(_response(status, error))
        self.transport.close()


def _response(status: HTTPStatus, error: ConversationsError) -> bytes:
    """Return a complete HTTP response with an error body in the format of the API."""
    body = {"code": error.code, "message": error.message, "more_info": error.more_info, "status": status.value}
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {JSON}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
