"""The gateway: an ASGI application that replaces API Gateway in the embedded engine.

The gateway translates an ASGI request to a gateway event, passes the event to the API, and sends the response. The API
runs on the event loop's thread, or on a worker thread if a request must wait, for example for a receiver of
pre-events. See `request_runner.py`. The gateway also passes the WebSockets of chat clients to the chat server.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from uuid import uuid4

from convoke.api.app import Api
from convoke.api.deferred import Deferred
from convoke.api.errors import RETRY_AFTER_SECONDS, render
from convoke.api.form import MAX_REQUEST_BODY_BYTES
from convoke.api.responses import FileResponse, Response
from convoke.api.uploads import Upload
from convoke.domain.conversations import Conversation
from convoke.domain.errors import NotFoundError, UnavailableError
from convoke.embedded import api_docs
from convoke.embedded.observation import FinishedRequest, Observers
from convoke.embedded.request_runner import NotAdmittedError, RequestRunner
from convoke.embedded.suspension import RunAgainError
from convoke.embedded.transfers import Body, DisconnectedError, Transfers, is_upload
from convoke.operations.waiting import pauses
from convoke.storage.table import Item

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = Response | Deferred | Upload

NO_TIME_LIMIT_MILLISECONDS = 60_000
"""The remaining time that the gateway reports to the API.

On one machine, requests have no time limit. This value is so great that it does not shorten a wait (`Prefer: wait`).
"""


class RequestContext:
    """Implements `InvocationContext`. On AWS, Lambda provides this object."""

    def __init__(self, remaining: int = NO_TIME_LIMIT_MILLISECONDS) -> None:
        self.aws_request_id = str(uuid4())
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:
        """Return a constant. The API reads the remaining time only once per request, so a constant is enough."""
        return self._remaining


class ConversationWaiters:
    """The requests that wait for the next change of a conversation (`Prefer: wait`)."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._is_over = False

    async def change(self, conversation_sid: str, seconds: float) -> None:
        """Wait until a conversation changes or the server stops, for at most `seconds`."""
        if self._is_over:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[conversation_sid].add(future)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, seconds)
        finally:
            self._waiting[conversation_sid].discard(future)
            if not self._waiting[conversation_sid]:
                del self._waiting[conversation_sid]

    @property
    def are_over(self) -> bool:
        return self._is_over

    def changed(self, changes: Sequence[Item]) -> None:
        """Wake the requests that wait for the conversations in `changes`. `changes` are change records."""
        if self._waiting:
            for change in changes:
                _wake(self._waiting.get(str(change.get("conversation_sid")), ()))

    def end(self) -> None:
        """Wake all waiting requests, because the server stops. From now on, no request waits."""
        self._is_over = True
        for futures in [*self._waiting.values()]:
            _wake(futures)


def _wake(futures: Any) -> None:
    for future in [*futures]:
        if not future.done():
            future.set_result(None)


class ChatServing(Protocol):
    """Serves the WebSockets for the gateway."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None: ...

    async def stop(self) -> None: ...

    def close(self) -> None: ...


class Gateway:
    """The ASGI application.

    If `trust_forwarded` is False, the headers `X-Forwarded-Proto` and `X-Forwarded-Host` are ignored. Set
    `trust_forwarded` only behind a proxy that sets these headers, because clients can forge the headers.
    """

    def __init__(
        self,
        api: Api,
        runner: RequestRunner,
        begin_stop: Callable[[], None],
        waiters: ConversationWaiters,
        observers: Observers,
        serve_chat: Callable[[], ChatServing],
        *,
        trust_forwarded: bool = False,
    ) -> None:
        self._api = api
        self._serve_chat = serve_chat
        self._chat: ChatServing | None = None
        self._runner = runner
        self._begin_stop = begin_stop
        self._waiters = waiters
        self._observers = observers
        self._trust_forwarded = trust_forwarded
        self._transfers = Transfers()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self._chat = self._chat or self._serve_chat()
            await self._chat(scope, receive, send)
            return
        upload = Body(scope, receive) if is_upload(scope) else None
        body = b"" if upload else await _body(receive)
        if body is None:
            return
        try:
            event = gateway_event(scope, body, trust_forwarded=self._trust_forwarded)
            response = await self.answer(event, upload)
        except DisconnectedError:
            return
        if isinstance(response, FileResponse):
            try:
                file = await self._transfers.open(response)
            except NotFoundError as error:
                response = render(error)
            else:
                await send(_start(response, response.size))
                await self._transfers.send(file, send)
                return
        content = response.body.encode()
        await send(_start(response, len(content)))
        await send({"type": "http.response.body", "body": content})

    async def answer(self, event: dict[str, Any], upload: Body | None = None) -> Response:
        """Return the response to a gateway event, after all data that the response shows is committed.

        `upload` is the body of an upload. If `upload` is None, the event contains the body. Raise DisconnectedError if
        the client disconnects during an upload.
        """
        begun = time.perf_counter()
        response = await self._answered(event, upload)
        if self._observers:
            self._observers.request_finished(FinishedRequest(event, response, time.perf_counter() - begun))
        return response

    def begin_stop(self) -> None:
        """Tell the engine that the server stops.

        Requests that wait for a conversation then get their response.
        """
        self._begin_stop()

    async def stop_chat(self) -> None:
        """Wait until the running calls of chat clients are answered. Then tell the chat clients to connect again."""
        if self._chat:
            await self._chat.stop()

    def close(self) -> None:
        """End the worker threads and the connections of chat clients.

        A request that still runs will fail when the table is closed.
        """
        if self._chat:
            self._chat.close()
        self._runner.close()
        self._transfers.close()

    async def _answered(self, event: dict[str, Any], upload: Body | None) -> Response:
        if docs := api_docs.page(event):
            return docs
        context, http = RequestContext(), event["requestContext"]["http"]
        try:
            answered = await self._runner.admit_and_run(
                http["method"], event["rawPath"], partial(self._api.answer, event, context)
            )
        except NotAdmittedError:
            return _unavailable(retry_after=True)
        except UnavailableError:
            return _unavailable()
        if isinstance(answered, Deferred):
            return self._api.rendered(answered, await self._waited_for(answered))
        if isinstance(answered, Upload):
            return await self._uploaded(answered, upload)
        return answered

    async def _uploaded(self, upload: Upload, body: Body | None) -> Response:
        if body is None:
            return await self._runner.on_thread(upload.respond_to_event)
        return await self._transfers.receive(upload, body)

    async def _waited_for(self, deferred: Deferred) -> Conversation:
        """Wait until a conversation leaves the state `initializing`, and return the last fetched conversation.

        Wait no longer than the client wants to wait. Stop earlier if the server stops or the data file cannot be read.
        """
        seen = deferred.created
        for pause in pauses(deferred.seconds):
            await self._waiters.change(seen.sid, pause)
            try:
                found = self._api.conversation_waiter.read(seen)
            except RunAgainError:
                continue
            except UnavailableError:
                # The data file is not readable, or the engine stops and has closed the data file.
                break
            if not await self._runner.is_committed():
                continue
            seen = found.conversation
            if found.is_final or self._waiters.are_over:
                break
        return seen


def _start(response: Response, size: int) -> Message:
    """Return the ASGI message with the status and the headers of a response. `size` is the length of the body."""
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    # A 204 response has no Content-Length (RFC 9110, section 8.6).
    if response.status_code != HTTPStatus.NO_CONTENT:
        headers.append((b"content-length", str(size).encode()))
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def _unavailable(*, retry_after: bool = False) -> Response:
    response = render(UnavailableError())
    if retry_after:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def gateway_event(scope: Message, body: bytes, *, trust_forwarded: bool = False) -> dict[str, Any]:
    """Return the event that API Gateway would send for a request, but only with the fields that the API reads.

    The event has the payload format 2.0. The path is percent-decoded. Header names are in lower case.
    """
    headers = headers_of(scope, trust_forwarded=trust_forwarded)
    text, is_base64 = _text(body)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": scope["path"],
        "rawQueryString": scope["query_string"].decode("latin-1"),
        "headers": headers,
        "requestContext": {
            "stage": "$default",
            "domainName": headers.get("host", ""),
            "http": {"method": scope["method"], "path": scope["path"], "protocol": f"HTTP/{scope['http_version']}"},
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


async def _body(receive: Receive) -> bytes | None:
    """Return the whole request body. Return None if the client disconnects before the end of the body.

    If the body is much too long, return only its first part. This part is still too long, so the API refuses the
    request.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))
    body = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= MAX_REQUEST_BODY_BYTES:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()


def headers_of(scope: Message, *, trust_forwarded: bool) -> dict[str, str]:
    """Return the headers of a request. As in API Gateway, `x-forwarded-proto` contains the scheme (http or https).

    If `trust_forwarded` is True and the request has the headers `X-Forwarded-Proto` and `X-Forwarded-Host`, the scheme
    and the host come from these headers.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    if "host" not in headers:
        headers["host"] = ":".join(map(str, scope["server"]))
    forwarded = headers if trust_forwarded else {}
    headers["x-forwarded-proto"] = _first(forwarded.get("x-forwarded-proto", "")) or scope["scheme"]
    headers["host"] = _first(forwarded.get("x-forwarded-host", "")) or headers["host"]
    return headers


def _first(values: str) -> str:
    """Return the first of several values that are separated by commas.

    The proxy nearest to the client sets this value.
    """
    return values.partition(",")[0].strip()


def _text(body: bytes) -> tuple[str, bool]:
    """Return a body as text, and whether the text is Base64. Only a body with non-ASCII bytes is encoded as Base64."""
    try:
        return body.decode("ascii"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
