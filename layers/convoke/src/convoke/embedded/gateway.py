"""The local stand-in for API Gateway: an ASGI request in, a gateway event to the API, its answer out."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.api.app import Api
from convoke.api.form import MAX_REQUEST_BODY_CHARACTERS
from convoke.embedded.greenlets import RequestGreenlets

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

AT_LEISURE = 60_000
"""Milliseconds. Nobody ends a request here."""


class RequestContext(LambdaContext):
    """The context that Lambda would hand over with a request: of it the API needs the id, and the time there is."""

    def __init__(self, remaining: int = AT_LEISURE) -> None:
        self._aws_request_id = str(uuid4())
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        """Without a clock, as it is asked for once."""
        return self._remaining


class Gateway:
    """An ASGI application. Forwarded headers of clients are dropped unless `trust_forwarded` says a proxy sets them."""

    def __init__(self, api: Api, turns: RequestGreenlets, *, trust_forwarded: bool = False) -> None:
        self._api = api
        self._turns = turns
        self._trust_forwarded = trust_forwarded

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        event = gateway_event(scope, body, trust_forwarded=self._trust_forwarded)
        answered = await self._turns.of_request(partial(self._api.resolve, event, RequestContext()))
        content = (answered["body"] or "").encode()
        headers = [(name.lower().encode(), value.encode()) for name, value in answered["headers"].items()]
        if answered["statusCode"] != HTTPStatus.NO_CONTENT:  # It must not say how long nothing is (RFC 9110, 8.6).
            headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": answered["statusCode"], "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def stop_waiting(self) -> None:
        """Answer the requests that wait now."""
        self._turns.wake()


def gateway_event(scope: Message, body: bytes, *, trust_forwarded: bool = False) -> dict[str, Any]:
    """The event of an HTTP API in payload format 2.0: the path decoded, header names in lower case."""
    headers = _headers(scope, trust_forwarded=trust_forwarded)
    query = scope["query_string"].decode("latin-1")
    text, is_base64 = _text(body)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": scope["path"],
        "rawQueryString": query,
        "headers": headers,
        "queryStringParameters": _query(query),
        "requestContext": {
            "stage": "$default",
            "domainName": headers.get("host", ""),
            "http": {"method": scope["method"], "path": scope["path"], "protocol": f"HTTP/{scope['http_version']}"},
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where the client went away before its end, as half a request means nothing.

    Of one that is too long for the API no more is kept than it takes to see that.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= MAX_REQUEST_BODY_CHARACTERS:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _headers(scope: Message, *, trust_forwarded: bool) -> dict[str, str]:
    """As API Gateway does, the scheme that the client used is told in `x-forwarded-proto`."""
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
    """What the outermost of several proxies said."""
    return values.partition(",")[0].strip()


def _query(query: str) -> dict[str, str]:
    """Values of a repeated name are joined by commas, as the gateway does."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _text(body: bytes) -> tuple[str, bool]:
    """The body as text, in Base64 where it is not plain ASCII."""
    try:
        return body.decode("ascii"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
