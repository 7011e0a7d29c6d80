"""The client of webhooks against real sockets (reference, d.1, d.5 and d.6)."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from convoke.domain.events import Event, EventType
from convoke.domain.webhooks import Delivery, Method
from convoke.operations.ports import WebhookAnswer, WebhookUnreachableError
from convoke.webhooks import client
from convoke.webhooks.client import WebhookHttpClient

LONGEST = 1000

TOKEN = "12345678901234567890123456789012"


def delivery(url: str, method: Method = Method.POST) -> Delivery:
    event = Event(
        id="EV-0",
        type=EventType.CONVERSATION_STATE_UPDATED,
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        occurred_at=datetime.now(UTC),
        payload={"EventType": "onConversationStateUpdated", "FriendlyName": "größe & =", "Empty": ""},
        webhooks=True,
    )
    return Delivery(event=event, target="account", url=url, method=method)


def called(to_deliver: Delivery, client: WebhookHttpClient | None = None, retry_count: int = 0) -> WebhookAnswer:
    return (client or WebhookHttpClient()).call(
        to_deliver, retry_count=retry_count, auth_token=TOKEN, longest_answer=LONGEST
    )


@contextmanager
def receiver(status: int = 200, body: bytes = b"") -> Iterator[tuple[str, list[Any]]]:
    """Its origin, and the requests it got, each as method, path, headers and body."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            requests.append((self.command, self.path, self.headers, self.rfile.read(length).decode()))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET = handle_any  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


@pytest.mark.parametrize(
    "path",
    ["", "/", "?tenant=7", "/hooks", "/hooks?tenant=7&b=%2f", "/größe/ü", "/a[1]", "/hooks#rc=2&rt=3000", "/a/../b"],
)
@pytest.mark.parametrize("method", list(Method))
def test_a_receiver_that_rebuilds_the_url_finds_the_signature_valid(method: Method, path: str) -> None:
    with receiver() as (origin, requests):
        assert called(delivery(origin + path, method), retry_count=2).status == 200
    ((verb, seen, headers, body),) = requests
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert verb == method
    assert RequestValidator(TOKEN).validate(origin + seen, parameters, headers["X-Twilio-Signature"])
    told = parameters if method is Method.POST else dict(parse_qsl(urlsplit(seen).query, keep_blank_values=True))
    assert told["FriendlyName"] == "größe & ="
    assert told["Empty"] == ""
    assert told["RetryCount"] == "2"
    assert headers["User-Agent"].startswith("Convoke/")


def test_credentials_in_the_url_are_sent_as_basic_and_not_signed() -> None:
    with receiver() as (origin, requests):
        url = origin.replace("http://", "http://me:p%40ss@") + "/hooks"
        called(delivery(url))
    ((_, seen, headers, body),) = requests
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert RequestValidator(TOKEN).validate(origin + seen, parameters, headers["X-Twilio-Signature"])


@pytest.mark.parametrize("status", [204, 302, 403, 500])
def test_the_status_is_answered_and_redirects_are_not_followed(status: int) -> None:
    with receiver(status) as (origin, requests):
        assert called(delivery(origin)).status == status
    assert len(requests) == 1


def test_a_long_answer_is_not_read_to_its_end() -> None:
    with receiver(200, b"x" * 10_000_000) as (origin, requests):
        calls = WebhookHttpClient()
        for _ in range(2):
            assert called(delivery(origin), calls).status == 200
    assert len(requests) == 2


@pytest.mark.parametrize("length", [0, 5, LONGEST, LONGEST + 1])
def test_of_an_answer_as_much_is_read_as_was_asked_for(length: int) -> None:
    with receiver(200, b"x" * length) as (origin, _):
        assert called(delivery(origin)) == (200, b"x" * min(length, LONGEST))


def drip(connection: socket.socket) -> None:
    """A header, byte by byte, that never ends."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_the_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    connection.close()


def hang(_: socket.socket) -> None:
    time.sleep(3)


@contextmanager
def misbehaving(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Its URL."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.recv(10_000)
                behave(connection)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_body_that_does_not_end_in_time_counts_as_far_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIME_LIMIT", 0.5)
    with misbehaving(drip_the_body) as url:
        begun = time.monotonic()
        status, body = called(delivery(url))
        assert time.monotonic() - begun < 2
    assert status == 200
    assert body == b"x" * len(body)
    assert 0 < len(body) < 100


@pytest.mark.parametrize(
    ("behave", "error"), [(drip, "no answer within"), (hang, "no answer within"), (reset, "no connection")]
)
def test_a_receiver_that_does_not_answer_in_time_is_left(
    behave: Callable[[socket.socket], None], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIME_LIMIT", 0.5)
    with misbehaving(behave) as url:
        begun = time.monotonic()
        with pytest.raises(WebhookUnreachableError, match=error):
            called(delivery(url))
        assert time.monotonic() - begun < 2


def test_nobody_there_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(WebhookUnreachableError, match="no connection"):
        called(delivery(f"http://127.0.0.1:{port}/"))
