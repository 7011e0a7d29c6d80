"""The webhook client sends requests over real sockets. See docs/behaviour/webhook-delivery.md#requests."""

from __future__ import annotations

import base64
import ipaddress
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from twilio.request_validator import RequestValidator

from convoke.cli.ministack import free_port
from convoke.domain.events import Event, EventType
from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import Delivery, Method
from convoke.webhooks.answers import WebhookAnswer, WebhookLateError, WebhookUnreachableError
from convoke.webhooks.client import MAX_IDLE_SECONDS, Address, Resolve, WebhookHttpClient, resolve
from tests.support.clocks import Clocks
from tests.support.processes import full_listener

LONGEST = 1000

TOKEN = "12345678901234567890123456789012"


ANYWHERE = ReceiverRules()


def delivery(url: str, method: Method = Method.POST, target: str = "account") -> Delivery:
    event = Event(
        id="EV-0",
        type=EventType.CONVERSATION_STATE_UPDATED,
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        occurred_at=datetime.now(UTC),
        payload={"EventType": "onConversationStateUpdated", "FriendlyName": "größe & =", "Empty": ""},
        notify_webhooks=True,
    )
    return Delivery(event=event, target=target, url=url, method=method)


def called(to_deliver: Delivery, client: WebhookHttpClient | None = None, retry_count: int = 0) -> WebhookAnswer:
    return (client or WebhookHttpClient(ANYWHERE)).call(
        to_deliver, retry_count=retry_count, auth_token=TOKEN, max_answer_bytes=LONGEST
    )


@contextmanager
def receiver(status: int | Sequence[int] = 200, body: bytes = b"") -> Iterator[tuple[str, list[Any]]]:
    """Run a webhook receiver until the block ends.

    `status` is the status of every response, or a sequence with one status for each response. Yield the receiver's
    origin and the received requests. Each request is a tuple of method, path, headers and body. The receiver adds the
    client's port to the headers, as `Port`.
    """
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.headers.add_header("Port", str(self.client_address[1]))
            requests.append((self.command, self.path, self.headers, self.rfile.read(length).decode()))
            self.send_response(status if isinstance(status, int) else status[len(requests) - 1])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body)

        do_POST = do_GET = handle_any  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Suppress the request log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


@pytest.mark.parametrize(
    "path",
    ["", "/", "?tenant=7", "/hooks", "/hooks?tenant=7&b=%2f", "/größe/ü", "/a[1]", "/hooks#rc=2&rt=3000", "/a/../b"],
)
@pytest.mark.parametrize("method", list(Method))
def test_signature_is_valid_for_url_rebuilt_by_receiver(method: Method, path: str) -> None:
    with receiver() as (origin, requests):
        assert called(delivery(origin + path, method), retry_count=2).status == 200
    ((verb, seen, headers, body),) = requests
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert verb == method
    assert RequestValidator(TOKEN).validate(origin + seen, parameters, headers["X-Twilio-Signature"])
    sent = parameters if method is Method.POST else dict(parse_qsl(urlsplit(seen).query, keep_blank_values=True))
    assert sent["FriendlyName"] == "größe & ="
    assert sent["Empty"] == ""
    assert sent["RetryCount"] == "2"
    assert headers["User-Agent"].startswith("Convoke/")


def test_credentials_in_url_are_sent_as_basic_auth_and_not_signed() -> None:
    with receiver() as (origin, requests):
        url = origin.replace("http://", "http://me:p%40ss@") + "/hooks"
        called(delivery(url))
    ((_, seen, headers, body),) = requests
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert RequestValidator(TOKEN).validate(origin + seen, parameters, headers["X-Twilio-Signature"])


def test_credentials_outside_latin_1_are_sent_in_utf_8() -> None:
    with receiver() as (origin, requests):
        called(delivery(origin.replace("http://", "http://юзер:пароль@")))
    ((_, _, headers, _),) = requests
    assert headers["Authorization"] == "Basic " + base64.b64encode("юзер:пароль".encode()).decode()


@pytest.mark.parametrize("method", list(Method))
def test_repetitions_have_the_same_idempotency_token_and_event_id(method: Method) -> None:
    with receiver() as (origin, requests):
        for retry_count in (0, 1):
            called(delivery(origin, method), retry_count=retry_count)
        called(delivery(origin, method).model_copy(update={"replay_sid": "ER1"}))
        called(delivery(origin, method, target="service"))
    headers = [sent for _, _, sent, _ in requests]
    assert {each["X-Convoke-Event-Id"] for each in headers} == {"EV-0"}
    first, retried, replayed, other = [each["I-Twilio-Idempotency-Token"] for each in headers]
    assert first == retried == replayed
    assert first != other, "each target must get the event, also if two targets have the same URL"
    assert str(UUID(first)) == first


@pytest.mark.parametrize("status", [204, 302, 403, 500])
def test_status_is_returned_and_redirects_are_not_followed(status: int) -> None:
    with receiver(status) as (origin, requests):
        assert called(delivery(origin)).status == status
    assert len(requests) == 1


def test_long_response_body_is_not_read_to_its_end() -> None:
    with receiver(200, b"x" * 10_000_000) as (origin, requests):
        calls = WebhookHttpClient(ANYWHERE)
        for _ in range(2):
            assert called(delivery(origin), calls).status == 200
    assert len(requests) == 2


@pytest.mark.parametrize("length", [0, 5, LONGEST, LONGEST + 1])
def test_response_body_is_read_up_to_the_limit(length: int) -> None:
    with receiver(200, b"x" * length) as (origin, _):
        assert called(delivery(origin)) == (200, b"x" * min(length, LONGEST))


def drip(connection: socket.socket) -> None:
    """Send a status line and a header that does not end within the time limit, one byte at a time."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_a_header(connection: socket.socket) -> None:
    """Send a status line and a complete header. Then send the same bytes as `drip`."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Short: x\r\n")
    drip(connection)


def drip_the_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_a_body_without_length(connection: socket.socket) -> None:
    """Send a body that does not end within the time limit, one byte at a time. No header announces its length."""
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_a_handshake(connection: socket.socket) -> None:
    """Begin a TLS handshake. The first record arrives one byte at a time, and is never complete."""
    connection.sendall(b"\x16\x03\x03\x40\x00\x02")
    for _ in range(1000):
        connection.sendall(b"\x00")
        time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang(_: socket.socket) -> None:
    time.sleep(3)


@contextmanager
def misbehaving(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a receiver that passes its first connection to `behave`. Yield the receiver's URL."""

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


@pytest.mark.parametrize("behave", [drip_the_body, drip_a_body_without_length])
def test_body_that_does_not_end_in_time_is_cut(behave: Callable[[socket.socket], None]) -> None:
    with misbehaving(behave) as url:
        begun = time.monotonic()
        status, body = called(delivery(f"{url}#tt=500"))
        assert time.monotonic() - begun < 2
    assert status == 200
    assert body == b"x" * len(body)
    assert 0 < len(body) < 100


@pytest.mark.parametrize(
    ("behave", "fragment", "error"),
    [
        (drip, "tt=500", "no answer within 0.5 s"),
        (drip_a_header, "tt=500", "no answer within 0.5 s"),
        (hang, "tt=500", "no answer within 0.5 s"),
        (hang, "rt=400", "no answer within 0.4 s"),
        (drip_a_handshake, "tt=500", "no answer within 0.5 s"),
        (reset, "", "no connection"),
    ],
)
def test_receiver_that_does_not_answer_in_time_is_unreachable(
    behave: Callable[[socket.socket], None], fragment: str, error: str
) -> None:
    with misbehaving(behave) as url:
        begun = time.monotonic()
        if behave is drip_a_handshake:
            url = url.replace("http:", "https:")
        with pytest.raises(WebhookUnreachableError, match=error):
            called(delivery(f"{url}#{fragment}"))
        assert time.monotonic() - begun < 2


def test_default_timeout_is_five_seconds() -> None:
    with misbehaving(lambda _: time.sleep(7)) as url:
        begun = time.monotonic()
        with pytest.raises(WebhookUnreachableError, match="no answer within 5 s"):
            called(delivery(url))
        assert 4.5 < time.monotonic() - begun < 6.5


def test_slow_name_resolution_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved, left = socket.getaddrinfo, threading.Event()

    def hang(*arguments: Any, **options: Any) -> Any:
        if not options["flags"]:
            left.wait(10)
        return resolved(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    begun = time.monotonic()
    for fragment in ("tt=300", "ct=300"):
        with pytest.raises(WebhookUnreachableError, match=r"no answer within 0\.3 s"):
            called(delivery(f"http://hooks.example.com/#{fragment}"))
    assert time.monotonic() - begun < 2
    left.set()


@contextmanager
def looking_up() -> Iterator[tuple[str, Resolve]]:
    yield "http://hooks.example.com/", lambda host, port: Future()


@contextmanager
def connecting() -> Iterator[tuple[str, Resolve]]:
    with full_listener() as (host, port):
        addresses = [Address(socket.AF_INET, (host, port))] * 2
        yield f"http://hooks.example.com:{port}/", lambda *_: done(addresses)


@contextmanager
def shaking_hands() -> Iterator[tuple[str, Resolve]]:
    with misbehaving(hang) as url:
        yield url.replace("http:", "https:"), resolve


@contextmanager
def awaiting_the_answer() -> Iterator[tuple[str, Resolve]]:
    with misbehaving(hang) as url:
        yield url, resolve


@pytest.mark.parametrize("stage", [looking_up, connecting, shaking_hands, awaiting_the_answer])
def test_cut_ends_a_call_at_any_stage(stage: Callable[[], AbstractContextManager[tuple[str, Resolve]]]) -> None:
    with stage() as (url, resolve), ThreadPoolExecutor(1) as pool:
        client = WebhookHttpClient(ANYWHERE, resolve)
        call = pool.submit(called, delivery(f"{url}#tt=15000&ct=10000"), client)
        time.sleep(0.3)
        assert call.running()
        client.cut()
        with pytest.raises(WebhookLateError):
            call.result(1)


def test_connection_that_is_not_accepted_in_time_is_late() -> None:
    with full_listener() as (host, port):
        begun = time.monotonic()
        for fragment in ("tt=300", "ct=300"):
            with pytest.raises(WebhookLateError, match=r"no answer within 0\.3 s"):
                called(delivery(f"http://{host}:{port}/#{fragment}"))
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 64 + ".example.com", "a..b"])
def test_unresolvable_host_is_reported_as_no_connection(host: str) -> None:
    with pytest.raises(WebhookUnreachableError, match="no connection"):
        called(delivery(f"http://{host}/"))


@pytest.mark.parametrize(("status", "body"), [(200, b"{}"), (200, b""), (204, b""), (500, b"x" * LONGEST)])
def test_connection_is_reused(status: int, body: bytes) -> None:
    calls = WebhookHttpClient(ANYWHERE)
    with receiver(status, body) as (origin, requests):
        for _ in range(3):
            called(delivery(origin), calls)
    assert len({headers["Port"] for _, _, headers, _ in requests}) == 1


@pytest.mark.parametrize(
    ("change", "is_reused"),
    [
        pytest.param(lambda clocks: clocks.run(MAX_IDLE_SECONDS - 0.1), True, id="short pause"),
        pytest.param(lambda clocks: clocks.run(MAX_IDLE_SECONDS), False, id="long pause"),
        pytest.param(lambda clocks: clocks.freeze(MAX_IDLE_SECONDS), False, id="frozen environment"),
        pytest.param(lambda clocks: clocks.step_back(0.1), False, id="wall clock set back"),
    ],
)
def test_kept_connection_is_reused_only_if_both_clocks_say_that_it_is_fresh(
    change: Callable[[Clocks], object], is_reused: bool
) -> None:
    clocks = Clocks()
    calls = WebhookHttpClient(ANYWHERE, read_clocks=clocks.read)
    with receiver() as (origin, requests):
        called(delivery(origin), calls)
        change(clocks)
        called(delivery(origin), calls)
    first, second = [headers["Port"] for _, _, headers, _ in requests]
    assert (first == second) is is_reused


def answer_once_then_drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    connection.recv(10_000)
    drip(connection)


def test_call_on_reused_connection_times_out_too() -> None:
    calls = WebhookHttpClient(ANYWHERE)
    with misbehaving(answer_once_then_drip) as url:
        assert called(delivery(url, Method.GET), calls).status == 200
        begun = time.monotonic()
        with pytest.raises(WebhookUnreachableError, match="no answer within"):
            called(delivery(f"{url}#tt=500", Method.GET), calls)
        assert time.monotonic() - begun < 2


def test_conversation_webhook_is_called_with_its_sid() -> None:
    sid = "WH" + "0" * 32
    with receiver() as (origin, requests):
        called(delivery(origin, target=sid))
        called(delivery(origin))
    sent = [dict(parse_qsl(body)) for _, _, _, body in requests]
    assert [each.get("WebhookSid") for each in sent] == [sid, None]
    (_, seen, headers, body), _ = requests
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert RequestValidator(TOKEN).validate(origin + seen, parameters, headers["X-Twilio-Signature"])


# Hosts that a deployment may call


class Resolver:
    """A fake DNS resolver that returns the addresses in order, one for each call. The last address is repeated."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Future[list[Address]]:
        self.asked.append(host)
        address = self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return done([Address(family, (address, port))])


def done(addresses: list[Address]) -> Future[list[Address]]:
    """Return a finished lookup that found `addresses`."""
    found: Future[list[Address]] = Future()
    found.set_result(addresses)
    return found


def only_allowed(network: str, *, https_only: bool = False) -> ReceiverRules:
    """Return rules that allow calls to public networks and to one private network.

    A deployment's default rules would refuse to call the receivers of these tests, because they run on this machine.
    """
    return ReceiverRules(public_only=True, allowed=(ipaddress.ip_network(network),), https_only=https_only)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "fe80::1", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_own_host_is_not_called_even_if_everything_is_allowed(address: str) -> None:
    rules = ReceiverRules.of_deployment(["0.0.0.0/0", "::/0"], https_only=False)
    with receiver() as (origin, requests):
        url = origin.replace("127.0.0.1", "hooks.example.com")
        with pytest.raises(WebhookUnreachableError, match="address is not allowed"):
            called(delivery(url), WebhookHttpClient(rules, Resolver(address)))
    assert requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_host_with_private_address_is_not_called(address: str) -> None:
    rules = ReceiverRules.of_deployment([], https_only=False)
    with receiver() as (origin, requests):
        url = origin.replace("127.0.0.1", "hooks.example.com")
        assert rules.accepts(url)
        with pytest.raises(WebhookUnreachableError, match="address is not allowed"):
            called(delivery(url), WebhookHttpClient(rules, Resolver(address)))
    assert requests == []


def test_host_that_resolves_to_another_address_later_is_checked_again() -> None:
    """The client resolves the host for each new connection, and checks each resolved address."""
    rules = only_allowed("127.0.0.1/32")
    resolver = Resolver("127.0.0.1", "127.0.0.2")
    with receiver() as (origin, requests):
        calls, url = WebhookHttpClient(rules, resolver), origin.replace("127.0.0.1", "hooks.example.com")
        assert called(delivery(url), calls).status == 200
        assert resolver.asked == ["hooks.example.com"]
        with pytest.raises(WebhookUnreachableError, match="address is not allowed"):
            called(delivery(url), WebhookHttpClient(rules, resolver))
    assert len(requests) == 1


@contextmanager
def listening(port: int, *hosts: str) -> Iterator[dict[str, list[socket.socket]]]:
    """Answer requests on several local addresses with status 200.

    Yield a mapping from each address to the connections that the address has received.
    """
    accepted: dict[str, list[socket.socket]] = {host: [] for host in hosts}

    def serve(host: str, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted[host].append(connection)
                with connection:
                    connection.recv(10_000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with ExitStack() as stack:
        for host in hosts:
            listener = stack.enter_context(socket.create_server((host, port)))
            threading.Thread(target=serve, args=(host, listener), daemon=True).start()
        yield accepted


def every(*addresses: str) -> Resolve:
    """Return a fake resolver that finds these addresses for every host name."""
    return lambda host, port: done([Address(socket.AF_INET, (address, port)) for address in addresses])


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")])
def test_host_is_called_only_at_its_allowed_addresses(addresses: tuple[str, str]) -> None:
    rules, port = only_allowed("127.0.0.1/32"), free_port()
    with listening(port, *addresses) as accepted:
        url = f"http://hooks.example.com:{port}/"
        assert called(delivery(url), WebhookHttpClient(rules, every(*addresses))).status == 200
        assert {host: len(connections) for host, connections in accepted.items()} == {"127.0.0.1": 1, "127.0.0.2": 0}


def test_forbidden_address_is_not_called_if_the_allowed_address_is_down() -> None:
    rules, port = only_allowed("127.0.0.1/32"), free_port()
    with listening(port, "127.0.0.2") as accepted:
        url = f"http://hooks.example.com:{port}/"
        with pytest.raises(WebhookUnreachableError, match="no connection"):
            called(delivery(url), WebhookHttpClient(rules, every("127.0.0.1", "127.0.0.2")))
        assert accepted == {"127.0.0.2": []}


def test_next_address_of_a_host_is_called_if_the_first_is_down() -> None:
    port = free_port()
    with listening(port, "127.0.0.2", "127.0.0.3") as accepted:
        url = f"http://hooks.example.com:{port}/"
        resolve = every("127.0.0.1", "127.0.0.2", "127.0.0.3")
        assert called(delivery(url), WebhookHttpClient(ANYWHERE, resolve)).status == 200
        assert {host: len(connections) for host, connections in accepted.items()} == {"127.0.0.2": 1, "127.0.0.3": 0}


def test_url_refused_by_rules_is_not_called() -> None:
    with receiver() as (origin, requests):
        for rules in (
            ReceiverRules.of_deployment([], https_only=False),
            only_allowed("127.0.0.0/8", https_only=True),
        ):
            with pytest.raises(WebhookUnreachableError, match="URL is not allowed"):
                called(delivery(origin), WebhookHttpClient(rules))
        rules = only_allowed("127.0.0.0/8")
        assert called(delivery(origin), WebhookHttpClient(rules)).status == 200
    assert len(requests) == 1


def test_refused_connection_is_reported_as_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(WebhookUnreachableError, match="no connection"):
        called(delivery(f"http://127.0.0.1:{port}/"))
