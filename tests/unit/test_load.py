"""The load generator of the benchmarks counts requests and detects failures (tests/benchmarks/load.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.benchmarks.load import Address, Answer, Connection, LoadError, load, parsed

PLAIN = b'HTTP/1.1 202 Accepted\r\ndate: now\r\nContent-Length: 12\r\n\r\n{"sid":"CH"}'

CHUNKED = b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"sid":\r\n5\r\n"CH"}\r\n0\r\n\r\n'

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(("sent", "status"), [(PLAIN, 202), (CHUNKED, 201)])
def test_response_is_complete_only_with_its_last_byte(sent: bytes, status: int) -> None:
    assert [parsed(sent[:end]) for end in range(len(sent))] == [None] * len(sent)
    answer = parsed(sent)
    assert answer == Answer(status, b'{"sid":"CH"}')
    assert answer.json() == {"sid": "CH"}


@contextmanager
def answering(status: int) -> Iterator[Address]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Suppress the access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1", server.server_port
        server.shutdown()


async def two_requests(connection: Connection) -> None:
    await connection.ask(REQUEST)
    await asyncio.sleep(0.01)
    await connection.ask(REQUEST)


def test_load_counts_rounds_and_requests() -> None:
    with answering(200) as address:
        found = load(address, two_requests, clients=2, seconds=0.2)
    assert found.requests == 2 * len(found.milliseconds) > 0
    assert len(found.milliseconds) - 2 <= found.in_time <= len(found.milliseconds)
    assert min(found.milliseconds) > 5


def test_error_status_fails_the_load_run() -> None:
    with answering(429) as address, pytest.raises(LoadError, match="429"):
        load(address, two_requests, clients=2, seconds=0.2)
