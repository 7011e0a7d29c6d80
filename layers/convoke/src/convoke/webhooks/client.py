"""Calls webhooks: one signed request, one answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlencode

import urllib3
from urllib3 import connection, connectionpool, exceptions
from urllib3.util import Url, parse_url

from convoke.domain.webhooks import Delivery, Method
from convoke.operations.ports import WebhookAnswer, WebhookLateError, WebhookUnreachableError
from convoke.webhooks.signature import sign

TIME_LIMIT = 5.0
"""Seconds that a call may take until its status is there (reference, d.5)."""

USER_AGENT = "Convoke/1.0"

CONNECTIONS = 32
"""Kept open, over all receivers."""


class _Limited:
    """A connection that is cut when the answer is not there in time.

    urllib3 bounds each read of a socket; a receiver that sends byte by byte could hold a call for ever.
    """

    sock: Any

    def getresponse(self) -> Any:
        cut = threading.Timer(TIME_LIMIT, lambda: _shut(self.sock))
        cut.daemon = True
        cut.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            cut.cancel()


class _HttpConnection(_Limited, connection.HTTPConnection):
    pass


class _HttpsConnection(_Limited, connection.HTTPSConnection):
    pass


class _HttpPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class WebhookHttpClient:
    """A WebhookClient on a pool of connections. Redirects are not followed."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            num_pools=CONNECTIONS,
            maxsize=CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(total=TIME_LIMIT),
        )

        self._pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, longest_answer: int) -> WebhookAnswer:
        """Raises WebhookUnreachableError where none came. A connection whose answer is longer is not used again."""
        parameters = {**delivery.event.payload, "RetryCount": str(retry_count)}
        parsed = parse_url(delivery.url)
        url, begun = as_sent(parsed), time.monotonic()
        try:
            if delivery.method is Method.GET:
                url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
                return self._answer("GET", url, None, signed(url, {}, auth_token, parsed), longest_answer)
            form, headers = urlencode(parameters), signed(url, parameters, auth_token, parsed)
            return self._answer("POST", url, form, headers, longest_answer)
        except exceptions.HTTPError as error:
            refused = isinstance(error, exceptions.NewConnectionError)
            late = isinstance(error, exceptions.TimeoutError) or time.monotonic() - begun >= TIME_LIMIT
            if late and not refused:
                raise WebhookLateError(f"no answer within {TIME_LIMIT:.0f} s") from error
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error

    def _answer(self, method: str, url: str, body: str | None, headers: dict[str, str], longest: int) -> WebhookAnswer:
        """A body that does not end in time counts as far as it came: the status is there."""
        until = time.monotonic() + TIME_LIMIT
        sent = {"User-Agent": USER_AGENT, **headers}
        response = self._pool.request(method, url, body=body, headers=sent, preload_content=False)
        content = b""
        with suppress(exceptions.HTTPError), _cut_after(until - time.monotonic(), response):
            while len(content) < longest and (more := response.read1(longest - len(content), decode_content=False)):
                content += more
        response.close()
        return WebhookAnswer(response.status, content)


@contextmanager
def _cut_after(seconds: float, response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """Whoever sends byte by byte ends no read, so the connection is cut from outside."""
    cut = threading.Timer(seconds, lambda: _shut(getattr(response.connection, "sock", None)))
    cut.daemon = True
    cut.start()
    try:
        yield
    finally:
        cut.cancel()


def _shut(sock: socket.socket | None) -> None:
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


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
