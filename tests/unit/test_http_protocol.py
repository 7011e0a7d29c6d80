"""The server limits the size and the duration of requests, and the number of connections."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from convoke.embedded.failures import LogLimit
from convoke.embedded.http_protocol import (
    MAX_BYTES_WITHOUT_PROGRESS,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    BoundedProtocol,
)

REQUEST = b"GET /v1/Services HTTP/1.1\r\nHost: x\r\n\r\n"

HOST_BYTES = len("Host") + len("x")


class HurriedProtocol(BoundedProtocol):
    request_timeout_seconds = 0.01
    max_connections = 2


class RecordingTransport(asyncio.Transport):
    """Records the bytes that the server sends, without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Application:
    """An ASGI application that reads the whole request body, and then answers 200 after `release` is set."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.release = asyncio.Event()
        self.release.set()

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.scopes.append(scope)
        self.bodies.append(body)
        await self.release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class Connection:
    def __init__(
        self,
        application: Application,
        protocol: type[BoundedProtocol] = BoundedProtocol,
        state: ServerState | None = None,
    ) -> None:
        config = uvicorn.Config(application, http=protocol, lifespan="off", log_config=None)
        config.load()
        self.transport = RecordingTransport()
        self.protocol = protocol(config, state or ServerState(), {})
        self.protocol.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.data_received(data)

    @property
    def status(self) -> int | None:
        return int(self.transport.sent.split()[1]) if self.transport.sent else None

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.transport.sent.partition(b"\r\n\r\n")[2])
        return found


async def ticks() -> None:
    """Let the event loop run ten times, so that all ready tasks run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def answered(*parts: bytes) -> tuple[Connection, Application]:
    application = Application()
    connection = Connection(application)
    for part in parts:
        connection.send(part)
        await ticks()
    return connection, application


def with_headers(*headers: bytes) -> bytes:
    return REQUEST.removesuffix(b"\r\n") + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def of_header_bytes(count: int) -> bytes:
    return with_headers(b"a: " + b"x" * (count - HOST_BYTES - 1))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * (MAX_TARGET_BYTES - 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /" + b"x" * MAX_TARGET_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (of_header_bytes(MAX_HEADER_BYTES), 200),
        (of_header_bytes(MAX_HEADER_BYTES + 1), 431),
        (with_headers(*[b"a:"] * (MAX_HEADERS - 1)), 200),
        (with_headers(*[b"a:"] * MAX_HEADERS), 431),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
    ids=["target", "target + 1", "header bytes", "header bytes + 1", "headers", "headers + 1", "no HTTP", "no ASCII"],
)
@pytest.mark.parametrize("size", [1 << 20, 100])
def test_request_over_a_limit_is_refused(request_bytes: bytes, status: int, size: int) -> None:
    parts = [request_bytes[start : start + size] for start in range(0, len(request_bytes), size)]
    connection, application = asyncio.run(answered(*parts))
    assert connection.status == status
    assert len(application.scopes) == (status == 200)
    assert connection.transport.is_closed == (status != 200)
    if status != 200:
        assert (connection.body["status"], connection.body["code"]) == (status, 20001)
        assert " must be " in connection.body["message"]


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\na: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;extension=",
    ],
    ids=["header", "trailer", "chunk extension"],
)
def test_line_that_never_ends_is_refused(start: bytes) -> None:
    connection, application = asyncio.run(answered(start, *[b"x" * 1000] * (MAX_BYTES_WITHOUT_PROGRESS // 1000 + 1)))
    assert connection.status == 431
    assert application.scopes == []


def test_trailer_is_not_a_header() -> None:
    async def scenario() -> Application:
        application = Application()
        connection = Connection(application)
        connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        connection.send(b"0\r\nAuthorization: Basic abc\r\n\r\n")
        await ticks()
        return application

    (scope,) = asyncio.run(scenario()).scopes
    assert {name for name, _ in scope["headers"]} == {b"host", b"transfer-encoding"}


def test_long_body_makes_progress() -> None:
    body = b"x" * (3 * MAX_BYTES_WITHOUT_PROGRESS)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection, application = asyncio.run(answered(head + body[:10], body[10:70_000], body[70_000:]))
    assert connection.status == 200
    assert application.bodies == [body]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"GET / HT",), 408),
        ((b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx",), 408),
        ((REQUEST, b"GET / HT"), 200),
        ((), None),
    ],
    ids=["head", "body", "second request", "nothing"],
)
def test_incomplete_request_is_ended_after_the_time_limit(parts: tuple[bytes, ...], status: int | None) -> None:
    async def scenario() -> Connection:
        connection = Connection(Application(), HurriedProtocol)
        for part in parts:
            connection.send(part)
            await ticks()
        while not connection.transport.is_closed:
            await asyncio.sleep(0.005)
        return connection

    connection = asyncio.run(asyncio.wait_for(scenario(), 10))
    assert connection.status == status
    assert (b" 408 " in connection.transport.sent) == (parts != ())


def test_request_with_a_slow_answer_has_no_time_limit() -> None:
    async def scenario() -> Connection:
        application = Application()
        application.release.clear()
        connection = Connection(application, HurriedProtocol)
        connection.send(REQUEST)
        await asyncio.sleep(3 * HurriedProtocol.request_timeout_seconds)
        application.release.set()
        await ticks()
        return connection

    assert asyncio.run(scenario()).status == 200


def test_refusal_does_not_overtake_the_response_to_an_earlier_request() -> None:
    async def scenario() -> Connection:
        application = Application()
        application.release.clear()
        connection = Connection(application)
        connection.send(REQUEST + b"nonsense\r\n\r\n")
        await ticks()
        assert connection.transport.sent == b""
        application.release.set()
        await ticks()
        return connection

    connection = asyncio.run(scenario())
    assert connection.transport.sent.startswith(b"HTTP/1.1 200 ")
    assert b" 400 " not in connection.transport.sent
    assert connection.transport.is_closed


def test_connections_over_the_limit_get_503_and_one_log_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HurriedProtocol, "log_limit", LogLimit())

    async def scenario() -> list[Connection]:
        application, state = Application(), ServerState()
        connections = [Connection(application, HurriedProtocol, state) for _ in range(5)]
        connections[-1].send(REQUEST)
        connections[0].protocol.connection_lost(None)
        for refused in connections[2:]:
            refused.protocol.connection_lost(None)
        later = Connection(application, HurriedProtocol, state)
        later.send(REQUEST)
        await ticks()
        return [*connections, later]

    with caplog.at_level(logging.WARNING, logger="convoke"):
        connections = asyncio.run(scenario())
    assert [connection.status for connection in connections] == [None, None, 503, 503, 503, 200]
    assert connections[2].body["code"] == 20503
    assert [record.getMessage() for record in caplog.records] == [
        "the limit of 2 connections is reached; new connections get 503"
    ]


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_request_to_change_the_protocol_is_answered_as_http(upgrade: bytes, caplog: pytest.LogCaptureFixture) -> None:
    request = with_headers(b"Connection: Upgrade", b"Upgrade: " + upgrade)
    connection, application = asyncio.run(answered(request))
    assert connection.status == 200
    assert len(application.scopes) == 1
    assert caplog.records == []
