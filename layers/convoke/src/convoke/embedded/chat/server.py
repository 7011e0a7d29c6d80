"""Serve the WebSocket of chat clients: accept clients, answer their frames, and disconnect them.

See docs/chat.md#protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from convoke.api.chat import frames
from convoke.api.chat.calls import parse_call
from convoke.api.chat.dispatch import ChatDispatcher, refused
from convoke.api.chat.frames import Frame, InvalidFrameError, parse_frame, status_of
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.origins import Origins
from convoke.api.requests import request_origin
from convoke.domain.errors import (
    AccessTokenExpiredError,
    ConversationsError,
    InvalidAccessTokenError,
    InvalidGrantsError,
    UnavailableError,
)
from convoke.embedded.chat.connection import CUT, CallRate, ChatClient, Connection
from convoke.embedded.chat.hub import SUBSCRIPTIONS_PATH, Hub
from convoke.embedded.chat.limits import (
    INIT_TIMEOUT_SECONDS,
    MAX_CALLS_UNDER_WAY,
    MAX_CONNECTIONS_PER_ACCOUNT,
    RECONNECT_MILLISECONDS,
    RETRY_MILLISECONDS,
    REVOCATION_CHECK_SECONDS,
    STOP_GRACE_SECONDS,
)
from convoke.embedded.gateway import Message, Receive, Send, headers_of
from convoke.embedded.observation import CONNECT, FinishedChatCall, Observers
from convoke.embedded.request_runner import NotAdmittedError, RequestRunner
from convoke.embedded.suspension import RunAgainError
from convoke.operations.access_tokens import AccessTokenOperations
from convoke.storage.events import change_of
from convoke.storage.table import Item

TICK_SECONDS = 1.0

STOP_POLL_SECONDS = 0.01

NOTIFICATION_CONTEXTS = ("put_notification_ctx", "delete_notification_ctx")
"""The frames with which a client selects notifications.

The server confirms these frames, but sends all notifications.
"""

ANSWERED = ("message", "update", *NOTIFICATION_CONTEXTS)
"""The frames that the server answers after the frame `init`. The limits on the rate of calls apply to these frames."""

METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})

OTHER_METHOD = "OTHER"
"""The action that observers get for a call whose method is not in METHODS.

Observers must not get the method itself, because the client can choose any text as the method.
"""

OFFLOADED = status_of(HTTPStatus.PERMANENT_REDIRECT)
"""The status that tells a client to connect again."""

CAPABILITIES = frozenset({"client_update"})
"""The capabilities that the server confirms.

The server does not confirm `offline_storage`. With this capability, the SDK would store objects without their event
ids. The SDK would then miss messages that arrive while the browser reloads a page.
"""


class GoneError(Exception):
    """The client has disconnected."""


class ChatServer:
    """Serves the WebSockets of chat clients. All methods run on the event loop's thread."""

    def __init__(
        self,
        dispatcher: ChatDispatcher,
        tokens: AccessTokenOperations,
        hub: Hub,
        runner: RequestRunner,
        origins: Origins,
        observers: Observers,
        *,
        trust_forwarded: bool = False,
    ) -> None:
        self._dispatcher = dispatcher
        self._tokens = tokens
        self._hub = hub
        self._runner = runner
        self._origins = origins
        self._observers = observers
        self._trust_forwarded = trust_forwarded
        self._connections: set[Connection] = set()
        self._clients: set[ChatClient] = set()
        self._per_account: Counter[str] = Counter()
        self._calls: set[asyncio.Task[None]] = set()
        """The running calls. The event loop has only weak references to tasks, so this set keeps the tasks alive."""
        self._is_ticking = False
        self._is_stopping = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one WebSocket until it is closed."""
        headers = headers_of(_http_scope(scope), trust_forwarded=self._trust_forwarded)
        await receive()
        if not self._origins.may_change(headers) or self._is_stopping:
            # uvicorn answers with an HTTP response with status 403.
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        connection = Connection(send, scope["extensions"][CUT]["cut"])
        self._connections.add(connection)
        writing = asyncio.create_task(_until_gone(connection.write()))
        try:
            await _until_gone(self._talk(connection, receive, request_origin(headers)))
        finally:
            self._connections.discard(connection)
            connection.finish()
            await asyncio.wait([writing])

    def changed(self, changes: Sequence[Item]) -> None:
        """Notify the clients about `changes`, the change records that were just committed."""
        if self._hub.has_subscribers:
            self._hub.changed([change_of(change) for change in changes])

    def close(self) -> None:
        """Close all connections, and tell the clients to connect again. Accept no new clients."""
        self._is_stopping = True
        for connection in [*self._connections]:
            connection.close(OFFLOADED, {"backoff_policy": {"reconnect_min_ms": RECONNECT_MILLISECONDS}})

    async def stop(self) -> None:
        """Wait for the running calls. Then tell all clients to connect again, and wait until they have disconnected.

        Each of the two waits ends after STOP_GRACE_SECONDS at the latest.
        """
        self._is_stopping = True
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_GRACE_SECONDS)
        self.close()
        until = asyncio.get_running_loop().time() + STOP_GRACE_SECONDS
        while self._connections and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(STOP_POLL_SECONDS)

    async def _talk(self, connection: Connection, receive: Receive, base_url: str) -> None:
        try:
            async with asyncio.timeout(INIT_TIMEOUT_SECONDS):
                frame = await _next_frame(receive)
            client = await self._connected(connection, frame)
            if client is None:
                return
            self._join(client)
            try:
                await self._serve(client, receive, base_url)
            finally:
                self._leave(client)
        except InvalidFrameError as error:
            connection.close(status_of(HTTPStatus.NOT_ACCEPTABLE, description=str(error)))
        except TimeoutError:
            connection.close(status_of(HTTPStatus.REQUEST_TIMEOUT))

    async def _connected(self, connection: Connection, frame: Frame) -> ChatClient | None:
        """Answer the frame `init`. Return the connected client, or None if the server refuses the client.

        Raise InvalidFrameError if the frame is not `init`.
        """
        if frame.method != "init":
            raise InvalidFrameError("the first frame must be init")
        begun = time.monotonic()
        try:
            session = await self._runner.run(partial(self._tokens.connect, _token(frame)))
        except ConversationsError as error:
            self._report_connect(begun, error.status, code=error.code)
            connection.end(frames.reply(frame.id, status_of(error.status, error.code, error.message)))
            return None
        if self._per_account[session.account.sid] >= MAX_CONNECTIONS_PER_ACCOUNT:
            backoff = {"backoff_policy": {"reconnect_min_ms": RETRY_MILLISECONDS}}
            self._report_connect(begun, HTTPStatus.TOO_MANY_REQUESTS)
            connection.end(frames.reply(frame.id, status_of(HTTPStatus.TOO_MANY_REQUESTS), payload=backoff))
            return None
        connection.send(frames.reply(frame.id, status_of(HTTPStatus.OK), _init_header(frame)))
        self._report_connect(begun, HTTPStatus.OK, user_sid=session.user_sid)
        return ChatClient(connection, session, asyncio.get_running_loop().time())

    def _report_connect(
        self, begun: float, status: int, *, code: int | None = None, user_sid: str | None = None
    ) -> None:
        self._observers.chat_call_finished(FinishedChatCall(CONNECT, status, code, user_sid, time.monotonic() - begun))

    async def _serve(self, client: ChatClient, receive: Receive, base_url: str) -> None:
        """Answer the frames of a client. The answers can have another order than the frames."""
        loop, connection = asyncio.get_running_loop(), client.connection
        rate, free = CallRate(loop.time()), asyncio.Semaphore(MAX_CALLS_UNDER_WAY)
        while True:
            frame = await _next_frame(receive)
            if frame.method == "close" or connection.is_closing or self._is_stopping:
                return
            if frame.method in ANSWERED:
                await asyncio.sleep(rate.pause(loop.time()))
                await connection.room()
            if frame.method == "message":
                await free.acquire()
                task = loop.create_task(self._call(client, frame, base_url))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
                task.add_done_callback(lambda _: free.release())
            elif frame.method == "update":
                await self._update(client, frame)
            elif frame.method in NOTIFICATION_CONTEXTS:
                connection.send(frames.reply(frame.id, status_of(HTTPStatus.OK)))

    async def _call(self, client: ChatClient, frame: Frame, base_url: str) -> None:
        if client.session.expires_at.timestamp() <= time.time():
            client.connection.refuse(AccessTokenExpiredError())
            return
        answer = await self._answer(client, frame, base_url)
        client.connection.send(frames.reply_with_answer(frame.id, answer))

    async def _answer(self, client: ChatClient, frame: Frame, base_url: str) -> ChatAnswer:
        begun = time.monotonic()
        try:
            request = parse_call(frame, client.session, base_url)
        except ConversationsError as error:
            return refused(error)
        answer = await self._answered(client, request)
        is_read = request.method == "GET" or request.path == SUBSCRIPTIONS_PATH
        if not is_read or answer.status >= HTTPStatus.BAD_REQUEST:
            self._observers.chat_call_finished(self._finished(request, answer, time.monotonic() - begun))
        return answer

    def _finished(self, request: ChatRequest, answer: ChatAnswer, seconds: float) -> FinishedChatCall:
        body = answer.body if isinstance(answer.body, dict) else {}
        is_error = answer.status >= HTTPStatus.BAD_REQUEST
        return FinishedChatCall(
            action=request.method if request.method in METHODS else OTHER_METHOD,
            status=answer.status,
            code=body.get("code") if is_error else None,
            sid=None if is_error else body.get("sid"),
            seconds=seconds,
            find_rule=partial(self._dispatcher.rule_of, request.path),
        )

    async def _answered(self, client: ChatClient, request: ChatRequest) -> ChatAnswer:
        try:
            if request.path == SUBSCRIPTIONS_PATH:
                return self._hub.subscribe(client, request)
            compute = partial(self._dispatcher.answer, request, f"RQ{uuid4().hex}")
            return await self._runner.admit_and_run(request.method, request.path, compute)
        except NotAdmittedError:
            return refused(UnavailableError())
        except ConversationsError as error:
            return refused(error)

    async def _update(self, client: ChatClient, frame: Frame) -> None:
        """Replace the access token of a client. The new token must be for the same User."""
        try:
            session = await self._runner.run(partial(self._tokens.verify, _token(frame)))
            if session.user_sid != client.session.user_sid:
                raise InvalidGrantsError
        except ConversationsError as error:
            status = status_of(error.status, error.code, error.message)
        else:
            status = status_of(HTTPStatus.OK)
            client.renew(session)
        client.connection.send(frames.reply(frame.id, status))

    def _join(self, client: ChatClient) -> None:
        self._clients.add(client)
        self._per_account[client.session.account.sid] += 1
        self._hub.join(client)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _leave(self, client: ChatClient) -> None:
        self._clients.discard(client)
        self._per_account[client.session.account.sid] -= 1
        self._hub.leave(client)

    def _tick(self) -> None:
        """Call `tick` of each client. Check the clients whose last check was REVOCATION_CHECK_SECONDS ago or earlier.

        The check disconnects a client whose API key, User or service is no longer valid. The check also ends
        subscriptions that the role of the User no longer permits.

        The event loop calls this method every TICK_SECONDS while at least one client is connected.
        """
        loop = asyncio.get_running_loop()
        self._is_ticking = bool(self._clients) and not self._is_stopping
        if not self._is_ticking:
            return
        loop.call_later(TICK_SECONDS, self._tick)
        now, wall_clock = loop.time(), time.time()
        for client in self._clients:
            client.tick(now, wall_clock)
        due = [client for client in self._clients if now >= client.next_check]
        # If the data file is not readable, the next tick tries again.
        with suppress(RunAgainError, UnavailableError):
            revoked = self._tokens.revoked([client.session for client in due])
            for client in due:
                self._hub.check_guest(client)
                client.next_check = now + REVOCATION_CHECK_SECONDS
                if client.session in revoked:
                    client.connection.refuse(InvalidAccessTokenError())


def _init_header(frame: Frame) -> dict[str, Any]:
    """Return the header of the reply to the frame `init`.

    The header confirms all registrations of the client, but only capabilities that are in CAPABILITIES.
    """
    named = frame.header.get("registrations")
    registrations = [each for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    capabilities = frame.header.get("capabilities")
    known = [each for each in capabilities if each in CAPABILITIES] if isinstance(capabilities, list) else []
    return {
        "capabilities": known,
        "continuation_token": uuid4().hex,
        "continuation_token_status": {"reissued": True, "reissue_reason": "MISSING", "reissue_message": ""},
        "init_registrations": [
            {
                "notification_ctx_id": uuid4().hex,
                "type": each.get("type"),
                "product": each.get("product"),
                "message_types": each.get("message_types"),
            }
            for each in registrations
        ],
    }


def _token(frame: Frame) -> str:
    token = frame.header.get("token")
    return token if isinstance(token, str) else ""


async def _next_frame(receive: Receive) -> Frame:
    """Return the next frame of the client.

    Raise GoneError if the client has disconnected. Raise InvalidFrameError if the frame is invalid.
    """
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise GoneError
    return parse_frame(message.get("bytes") or b"")


async def _until_gone(talking: Awaitable[None]) -> None:
    # `send` raises OSError if the client has disconnected (ASGI, version 2.4).
    with suppress(GoneError, OSError):
        await talking


def _http_scope(scope: Message) -> Message:
    """Return a copy of the scope. The scheme `ws` becomes `http`, and `wss` becomes `https`."""
    return {**scope, "scheme": "https" if scope["scheme"] == "wss" else "http"}
