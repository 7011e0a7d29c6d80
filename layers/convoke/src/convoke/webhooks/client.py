"""Calls webhooks: one signed request, one answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlencode

import urllib3
from urllib3 import connection, connectionpool, exceptions
from urllib3.util import Url, parse_url

from convoke.domain.webhooks import Delivery, Method
from convoke.operations.ports import WebhookUnreachableError
from convoke.webhooks.signature import sign

TIME_LIMIT = 5.0
"""Seconds that a call may take until its status is there (reference, d.5)."""

LONGEST_READ = 4096
"""Bytes of an answer that are read; a connection whose answer is longer is not used again."""

USER_AGENT = "Convoke/1.0"

CONNECTIONS = 32
"""Kept open, over all receivers."""


class _Limited:
    """A connection that is cut when the answer is not there in time.

    urllib3 bounds each read of a socket; a receiver that sends byte by byte could hold a call for ever.
    """

    sock: Any

    def getresponse(self) -> Any:
        cut = threading.Timer(TIME_LIMIT, self._cut)
        cut.daemon = True
        cut.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            cut.cancel()

    def _cut(self) -> None:
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_RDWR)


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

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str) -> int:
        """The HTTP status of the answer. Raises WebhookUnreachableError where none came."""
        parameters = {**delivery.event.payload, "RetryCount": str(retry_count)}
        parsed = parse_url(delivery.url)
        url, begun = as_sent(parsed), time.monotonic()
        try:
            if delivery.method is Method.GET:
                url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
                return self._status("GET", url, None, signed(url, {}, auth_token, parsed))
            return self._status("POST", url, urlencode(parameters), signed(url, parameters, auth_token, parsed))
        except exceptions.HTTPError as error:
            refused = isinstance(error, exceptions.NewConnectionError)
            late = isinstance(error, exceptions.TimeoutError) or time.monotonic() - begun >= TIME_LIMIT
            if late and not refused:
                raise WebhookUnreachableError(f"no answer within {TIME_LIMIT:.0f} s") from error
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error

    def _status(self, method: str, url: str, body: str | None, headers: dict[str, str]) -> int:
        """Only the status is of interest: of a body no more is read than comes with it."""
        sent = {"User-Agent": USER_AGENT, **headers}
        response = self._pool.request(method, url, body=body, headers=sent, preload_content=False)
        with suppress(exceptions.HTTPError):
            response.read1(LONGEST_READ, decode_content=False)
        response.close()
        return response.status


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
