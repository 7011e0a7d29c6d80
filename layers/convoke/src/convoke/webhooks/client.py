"""Call webhooks: send one signed request for each attempt of a delivery, and return the answer.

The clients that fetch media and that call Twilio also use `BoundedHttpClient`.

A webhook call has two restrictions that urllib3 does not support. First, the whole call has a maximum total time.
Second, the client connects only to IP addresses that the receiver rules allow. `_Call` and `_BoundedConnection` apply
these restrictions. `_BoundedConnection` uses private members of urllib3, so pyproject.toml limits the version of
urllib3.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import urllib3
from urllib3 import connection, connectionpool, exceptions

from convoke.domain.connections import ConnectionSettings
from convoke.domain.freshness import ClockReading, ReadClocks, read_clocks
from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import Delivery
from convoke.webhooks.answers import WebhookAnswer, WebhookLateError, WebhookUnreachableError
from convoke.webhooks.deadlines import Deadlines
from convoke.webhooks.signed_requests import SignedRequest, signed_request

USER_AGENT = "Convoke/1.0"

MAX_CONNECTIONS = 32
"""The maximum number of connection pools, and of idle connections in each pool.

Each combination of scheme, host and port has its own connection pool.
"""

MAX_IDLE_SECONDS = 4.0
"""The maximum idle time of a connection that the client reuses.

Many servers close idle connections after five seconds.
"""


class Address(NamedTuple):
    """One of the addresses of a host name."""

    family: int
    sockaddr: Any
    """The argument for `socket.connect`: a tuple whose first element is the IP address."""


Resolve = Callable[[str, int], Future[list[Address]]]
"""A function that starts to look up the addresses of a host. The arguments are the host and the port.

If the lookup fails, the future raises OSError. If the host is not a valid name, the function or the future raises
UnicodeError.
"""


def resolve(host: str, port: int) -> Future[list[Address]]:
    """Start to look up a host name.

    `getaddrinfo` runs on its own thread, because `getaddrinfo` has no timeout and cannot be cancelled. If the caller
    stops waiting for the result, the thread continues until `getaddrinfo` returns.
    """
    found: Future[list[Address]] = Future()
    # An IP address needs no lookup and no thread.
    with suppress(socket.gaierror):
        found.set_result(_get_addresses(host, port, socket.AI_NUMERICHOST))
        return found

    def look_up() -> None:
        try:
            settle = partial(found.set_result, _get_addresses(host, port))
        except (OSError, UnicodeError) as error:
            settle = partial(found.set_exception, error)
        if found.set_running_or_notify_cancel():
            settle()

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return found


def _get_addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]


class _Call:
    """Limits one call: how long the call may take, and which IP addresses the call may use.

    At the deadline, `Deadlines` shuts the connection down. A socket timeout would not be enough, because it limits only
    each single read: a receiver that sends one byte at a time could block a call forever. `shut_down` uses a duplicate
    of the socket, because TLS detaches the original socket.
    """

    def __init__(
        self, settings: ConnectionSettings, rules: ReceiverRules, resolve: Resolve, read_clocks: ReadClocks
    ) -> None:
        self.settings = settings
        self.read_clocks = read_clocks
        self._rules = rules
        self._resolve = resolve
        self.deadline = time.monotonic() + settings.total
        self._lookup: Future[list[Address]] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the duplicate of the socket."""
        with self._lock:
            if self._socket:
                self._socket.close()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to a host. Use only IP addresses that the receiver rules allow.

        Raise WebhookUnreachableError if the connection fails. Raise WebhookLateError if the connection takes too long.
        In both errors, `is_sent` is False.

        The method checks and uses the result of a single name lookup, because a second lookup could return a forbidden
        address (DNS rebinding).
        """
        try:
            return self._connect(host, port)
        except WebhookUnreachableError as error:
            error.is_sent = False
            raise

    def _connect(self, host: str, port: int) -> socket.socket:
        try:
            # Store the lookup before reading the deadline. Another thread can call `cut` at any moment. `cut` first
            # changes the deadline, and then cancels the stored lookup. Therefore either this thread reads the new
            # deadline, or `cut` cancels this lookup.
            self._lookup = self._resolve(host, port)
            until = min(self.deadline, time.monotonic() + self.settings.connect)
            addresses = self._lookup.result(max(until - time.monotonic(), 0))
            allowed = [address for address in addresses if self._rules.allows(address.sockaddr[0])]
            if allowed:
                return self._connect_to_any(allowed, until)
        except (OSError, UnicodeError, CancelledError) as error:
            # Check the deadline too, because `shut_down` and `cut` cause no TimeoutError. Both end the connection,
            # and `cut` also cancels the name lookup.
            if self.is_over or isinstance(error, TimeoutError):
                raise WebhookLateError(f"no answer within {self.settings.connect:g} s") from error
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error
        raise WebhookUnreachableError("no connection (the address is not allowed)")

    def _connect_to_any(self, addresses: list[Address], until: float) -> socket.socket:
        """Try the addresses one after the other. Return the socket of the first connection that succeeds.

        Each attempt gets the remaining time divided by the number of remaining addresses.
        """
        *others, last = addresses
        for position, address in enumerate(others):
            with suppress(OSError):
                return self._connect_to(address, (until - time.monotonic()) / (len(addresses) - position))
        return self._connect_to(last, until - time.monotonic())

    def _connect_to(self, address: Address, seconds: float) -> socket.socket:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            self.use(sock)
            sock.settimeout(max(min(seconds, self._seconds_left), 0.001))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address.sockaddr)
        except OSError:
            sock.close()
            raise
        sock.settimeout(max(self._seconds_left, 0.001))
        return sock

    @property
    def _seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def use(self, sock: socket.socket) -> None:
        """Store a duplicate of a socket, so that `shut_down` can shut the connection down.

        A `_Call` stores only the last duplicate. The socket need not be connected, because on Linux, a shutdown also
        ends an attempt to connect.
        """
        with self._lock:
            if self._socket:
                self._socket.close()
            self._socket = socket.socket(fileno=os.dup(sock.fileno()))

    def cut(self) -> None:
        """End the call immediately: move the deadline to now, cancel the name lookup, and shut the connection down."""
        self.deadline = time.monotonic()
        if self._lookup:
            self._lookup.cancel()
        self.shut_down()

    def shut_down(self) -> None:
        """Shut the connection down. This ends every read and write of the call."""
        with self._lock, suppress(OSError):
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)


_CALL: ContextVar[_Call] = ContextVar("call")
"""The `_Call` that is in progress in this thread.

urllib3 cannot pass the `_Call` to the connection, so a context variable is necessary.
"""


class _BoundedConnection:
    """Extends urllib3's connection classes with the restrictions of a call.

    This mixin overrides urllib3's private method `_new_conn` and reads the private attribute `_dns_host`. No other
    class of Convoke may use private members of urllib3. tests/infrastructure/test_dependencies.py checks this rule.
    """

    sock: Any
    port: Any
    _dns_host: str
    _last_used: ClockReading | None = None

    @property
    def is_connected(self) -> bool:
        """Whether urllib3 may reuse this connection. If not, urllib3 opens a new connection."""
        last_used, now = self._last_used, _CALL.get().read_clocks()
        recently = last_used is not None and last_used.is_fresh(now, MAX_IDLE_SECONDS)
        return recently and super().is_connected  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        return _CALL.get().connect(self._dns_host, self.port)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _CALL.get().use(self.sock)
        super().request(*arguments, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Return the answer. Raise TimeoutError if the deadline has passed.

        If `shut_down` ends the call while headers arrive, `http.client` treats the incomplete headers as
        complete. Therefore this method checks the deadline.
        """
        response = super().getresponse()  # type: ignore[misc]
        if _CALL.get().is_over:
            response.close()
            raise TimeoutError
        self._last_used = _CALL.get().read_clocks()
        return response


class _HttpConnection(_BoundedConnection, connection.HTTPConnection):
    pass


class _HttpsConnection(_BoundedConnection, connection.HTTPSConnection):
    pass


class _HttpPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class BoundedHttpClient:
    """An HTTP client that limits each call, and reuses connections.

    Each call has a maximum total time, and connects only to allowed addresses.
    """

    def __init__(self, rules: ReceiverRules, resolve: Resolve = resolve, read_clocks: ReadClocks = read_clocks) -> None:
        self._rules = rules
        self._resolve = resolve
        self._read_clocks = read_clocks
        self._deadlines: Deadlines[_Call] = Deadlines()
        self._pool = urllib3.PoolManager(num_pools=MAX_CONNECTIONS, maxsize=MAX_CONNECTIONS, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def cut(self) -> None:
        """End all calls in progress. Each call fails as if its deadline had passed."""
        for call in self._deadlines.calls:
            call.cut()
        self._deadlines.wake()

    @contextmanager
    def call_under_way(self, url: str, settings: ConnectionSettings) -> Iterator[None]:
        """Apply the time limit and the receiver rules to all requests that the `with` block sends to `url`.

        Raise WebhookLateError if no answer arrives in time. Raise WebhookUnreachableError if the receiver rules refuse
        `url`, or if no answer arrives for another reason.
        """
        if not self._rules.accepts(url):
            raise WebhookUnreachableError("no connection (the URL is not allowed)")
        call = _Call(settings, self._rules, self._resolve, self._read_clocks)
        self._deadlines.add(call)
        token = _CALL.set(call)
        try:
            yield
        except exceptions.HTTPError as error:
            if call.is_over:
                raise WebhookLateError(f"no answer within {settings.total:g} s") from error
            if isinstance(error, exceptions.TimeoutError):
                raise WebhookLateError(f"no answer within {settings.read:g} s") from error
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error
        finally:
            _CALL.reset(token)
            self._deadlines.remove(call)
            call.close()

    def request(
        self, method: str, url: str, headers: Mapping[str, str], settings: ConnectionSettings, body: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the response, without following redirects.

        Call this method only inside a `with` block of `call_under_way`.
        """
        timeout = urllib3.Timeout(connect=settings.connect, read=settings.read, total=settings.total)
        sent = {"User-Agent": USER_AGENT, **headers}
        return self._pool.request(
            method, url, body=body, headers=sent, timeout=timeout, preload_content=False, redirect=False
        )


def read_body(response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
    """Return at most `max_bytes` bytes of the body. If the connection breaks, return the part that has arrived."""
    content = b""
    with suppress(exceptions.HTTPError):
        while len(content) < max_bytes and (more := response.read1(max_bytes - len(content), decode_content=False)):
            content += more
    response.close()
    return content


class WebhookHttpClient(BoundedHttpClient):
    """Implements `WebhookClient`."""

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        """Send one delivery and return the answer. The answer contains at most `max_answer_bytes` bytes of the body.

        `retry_count` tells how many attempts of this delivery were made before.

        Raise WebhookLateError if no answer arrives in time. Raise WebhookUnreachableError if no answer arrives for
        another reason.
        """
        with self.call_under_way(delivery.url, delivery.connection):
            request = signed_request(delivery, retry_count=retry_count, auth_token=auth_token)
            return self._send(request, delivery.connection, max_answer_bytes)

    def _send(self, request: SignedRequest, settings: ConnectionSettings, max_answer_bytes: int) -> WebhookAnswer:
        """Send a request and return the answer.

        If the connection breaks before the end of the body, the answer contains only the received part.
        """
        method, url, headers, body = request
        response = self.request(method, url, headers, settings, body)
        return WebhookAnswer(response.status, read_body(response, max_answer_bytes))
