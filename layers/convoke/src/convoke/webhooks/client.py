"""Calls webhooks: one signed request, one answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlencode

import urllib3
from urllib3 import connection, connectionpool, exceptions
from urllib3.util import Url, parse_url

from convoke.domain.connections import ConnectionSettings
from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import Delivery, Method
from convoke.webhooks.answers import WebhookAnswer, WebhookLateError, WebhookUnreachableError
from convoke.webhooks.signature import sign

USER_AGENT = "Convoke/1.0"

CONNECTIONS = 32
"""Kept open, over all receivers."""

LONGEST_IDLE = 4.0
"""Seconds within which a connection that was kept is used again: receivers commonly end theirs after five."""


class Address(NamedTuple):
    """One of those that a name resolves to."""

    family: int
    sockaddr: Any
    """As sockets of the family take it; the IP address comes first."""


Resolve = Callable[[str, int, float], list[Address]]
"""The addresses of a host and port, in so many seconds. Raises OSError, or UnicodeError for what is no name."""


def resolve(host: str, port: int, seconds: float) -> list[Address]:
    """Nothing can stop a resolver that hangs: it is left behind in its thread, which its own limits end."""
    with suppress(socket.gaierror):
        return _looked_up(host, port, socket.AI_NUMERICHOST)
    found: Future[list[Address]] = Future()

    def look_up() -> None:
        try:
            found.set_result(_looked_up(host, port))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return found.result(seconds)


def _looked_up(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]


class _Call:
    """One call, which ends in time whatever its receiver does.

    Sockets bound each read for itself, so a receiver that sends byte by byte could hold a call for ever. When the time
    is over, the connection is cut from outside: by a duplicate, as TLS takes the socket away from whoever made it.
    """

    def __init__(self, settings: ConnectionSettings, rules: ReceiverRules, resolve: Resolve) -> None:
        self.settings = settings
        self._rules = rules
        self._resolve = resolve
        self._until = time.monotonic() + settings.total
        self._held: socket.socket | None = None
        self._lock = threading.Lock()
        self._cut_off = threading.Timer(settings.total, self._cut)
        self._cut_off.daemon = True

    def __enter__(self) -> Self:
        self._cut_off.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._cut_off.cancel()
        with self._lock:
            if self._held:
                self._held.close()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address that was looked at: nothing resolves the name a second time.

        Raises WebhookUnreachableError.
        """
        until = min(self._until, time.monotonic() + self.settings.connect)
        try:
            addresses = self._resolve(host, port, until - time.monotonic())
            allowed = [address for address in addresses if self._rules.allows(address.sockaddr[0])]
            if allowed:
                return self._first_of(allowed, until)
        except TimeoutError as error:
            raise WebhookLateError(f"no answer within {self.settings.connect:g} s") from error
        except (OSError, UnicodeError) as error:
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error
        raise WebhookUnreachableError("no connection (the address is not allowed)")

    def _first_of(self, addresses: list[Address], until: float) -> socket.socket:
        """Each has its share of the time that is left."""
        *others, last = addresses
        for position, address in enumerate(others):
            with suppress(OSError):
                return self._connected(address, (until - time.monotonic()) / (len(addresses) - position))
        return self._connected(last, until - time.monotonic())

    def _connected(self, address: Address, seconds: float) -> socket.socket:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(seconds, 0.001))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address.sockaddr)
        except OSError:
            sock.close()
            raise
        sock.settimeout(max(self._until - time.monotonic(), 0.001))
        self.hold(sock)
        return sock

    def hold(self, sock: socket.socket) -> None:
        """The connection that this call is made on."""
        with self._lock:
            if self._held is None:
                self._held = socket.socket(fileno=os.dup(sock.fileno()))

    def _cut(self) -> None:
        with self._lock, suppress(OSError):
            if self._held:
                self._held.shutdown(socket.SHUT_RDWR)


_CALL: ContextVar[_Call] = ContextVar("call")
"""What a connection is being used for: urllib3 hands it nothing but the request."""


class _Bounded:
    """A connection that its call makes, and can cut."""

    sock: Any
    port: Any
    _dns_host: str
    _last_used = 0.0

    @property
    def is_connected(self) -> bool:
        recently = time.monotonic() - self._last_used < LONGEST_IDLE
        return recently and super().is_connected  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        return _CALL.get().connect(self._dns_host, self.port)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _CALL.get().hold(self.sock)
        super().request(*arguments, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Where the connection is cut among the headers, those that came would count as all of them."""
        response = super().getresponse()  # type: ignore[misc]
        if _CALL.get().is_over:
            response.close()
            raise TimeoutError
        self._last_used = time.monotonic()
        return response


class _HttpConnection(_Bounded, connection.HTTPConnection):
    pass


class _HttpsConnection(_Bounded, connection.HTTPSConnection):
    pass


class _HttpPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class WebhookHttpClient:
    """A WebhookClient on a pool of connections. Redirects are not followed."""

    def __init__(self, rules: ReceiverRules, resolve: Resolve = resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._pool = urllib3.PoolManager(num_pools=CONNECTIONS, maxsize=CONNECTIONS, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, longest_answer: int) -> WebhookAnswer:
        """Raises WebhookUnreachableError where none came. A connection whose answer is longer is not used again."""
        if not self._rules.accepts(delivery.url):
            raise WebhookUnreachableError("no connection (the URL is not allowed)")
        parameters = {**delivery.parameters, "RetryCount": str(retry_count)}
        settings = delivery.connection
        with _Call(settings, self._rules, self._resolve) as call:
            token = _CALL.set(call)
            try:
                return self._sent(delivery, parameters, auth_token, settings, longest_answer)
            except exceptions.HTTPError as error:
                if call.is_over:
                    raise WebhookLateError(f"no answer within {settings.total:g} s") from error
                if isinstance(error, exceptions.TimeoutError):
                    raise WebhookLateError(f"no answer within {settings.read:g} s") from error
                raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error
            finally:
                _CALL.reset(token)

    def _sent(
        self,
        delivery: Delivery,
        parameters: dict[str, str],
        auth_token: str,
        settings: ConnectionSettings,
        longest: int,
    ) -> WebhookAnswer:
        parsed = parse_url(delivery.url)
        url = as_sent(parsed)
        if delivery.method is Method.GET:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
            return self._answer("GET", url, None, signed(url, {}, auth_token, parsed), settings, longest)
        form, headers = urlencode(parameters), signed(url, parameters, auth_token, parsed)
        return self._answer("POST", url, form, headers, settings, longest)

    def _answer(
        self,
        method: str,
        url: str,
        body: str | None,
        headers: dict[str, str],
        settings: ConnectionSettings,
        longest: int,
    ) -> WebhookAnswer:
        """A body that does not end in time counts as far as it came: the status is there."""
        sent = {"User-Agent": USER_AGENT, **headers}
        timeout = urllib3.Timeout(connect=settings.connect, read=settings.read, total=settings.total)
        response = self._pool.request(
            method, url, body=body, headers=sent, timeout=timeout, preload_content=False, redirect=False
        )
        content = b""
        with suppress(exceptions.HTTPError):
            while len(content) < longest and (more := response.read1(longest - len(content), decode_content=False)):
                content += more
        response.close()
        return WebhookAnswer(response.status, content)


def as_sent(url: Url) -> str:
    """The URL as the receiver sees it and as it is signed: escaped, with a path, without credentials or fragment."""
    return url._replace(auth=None, fragment=None, path=url.path or "/").url


def signed(url: str, parameters: dict[str, str], auth_token: str, configured: Url) -> dict[str, str]:
    """The headers of a request. Credentials in the configured URL become HTTP Basic."""
    headers = {"X-Twilio-Signature": sign(url, parameters, auth_token)}
    if parameters:
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    if configured.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(configured.auth))
    return headers
