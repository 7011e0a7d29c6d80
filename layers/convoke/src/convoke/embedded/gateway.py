"""The embedded engine's API Gateway: an ASGI application that calls the API with API Gateway events.

The API sees the same events as in Lambda, so it needs no code of its own for the embedded engine. See
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
"""

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

REMAINING_MILLISECONDS = 60_000
"""The time that the API may use for a request, such as the wait of `Prefer: wait`. No timeout ends a request here."""


class RequestContext(LambdaContext):
    """A Lambda context with a request id and the remaining time, which is all that the API reads."""

    def __init__(self, remaining: int = REMAINING_MILLISECONDS) -> None:
        self._aws_request_id = str(uuid4())
        self._remaining = remaining

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        """Return a constant. It does not count down, because the API reads it only once per request."""
        return self._remaining


class Gateway:
    """An ASGI application that answers each request with the API."""

    def __init__(self, api: Api, greenlets: RequestGreenlets, *, trust_forwarded: bool = False) -> None:
        """Create the gateway.

        `trust_forwarded` says that a proxy sets X-Forwarded-Proto and X-Forwarded-Host. Otherwise clients could set
        them, and would choose the URLs in responses, so the gateway ignores both.
        """
        self._api = api
        self._greenlets = greenlets
        self._trust_forwarded = trust_forwarded

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        event = gateway_event(scope, body, trust_forwarded=self._trust_forwarded)
        response = await self._greenlets.run(partial(self._api.resolve, event, RequestContext()))
        content = (response["body"] or "").encode()
        headers = [(name.lower().encode(), value.encode()) for name, value in response["headers"].items()]
        # A 204 response must not have a Content-Length (RFC 9110, section 8.6).
        if response["statusCode"] != HTTPStatus.NO_CONTENT:
            headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": response["statusCode"], "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def wake_sleeping_requests(self) -> None:
        """End the sleep of every request, such as that of `Prefer: wait`, so that it is answered now."""
        self._greenlets.wake()


def gateway_event(scope: Message, body: bytes, *, trust_forwarded: bool = False) -> dict[str, Any]:
    """Return the event of an HTTP API, in payload format 2.0.

    As in API Gateway, the path is decoded and header names are in lower case.
    """
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
    """Return the body, or None if the client disconnected before the end of its request."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        # Beyond the limit the API refuses the request. One part more is enough for that, and keeps memory bounded.
        if len(body) <= MAX_REQUEST_BODY_CHARACTERS:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _headers(scope: Message, *, trust_forwarded: bool) -> dict[str, str]:
    """Return the headers by lower-case name. As in API Gateway, x-forwarded-proto is the scheme the client used."""
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
    """Return the first of several values, which the proxy closest to the client has set."""
    return values.partition(",")[0].strip()


def _query(query: str) -> dict[str, str]:
    """Return the query parameters. As in API Gateway, commas join the values of a repeated name."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _text(body: bytes) -> tuple[str, bool]:
    """Return the body as text, and whether the text is Base64. Bodies that are not ASCII are encoded."""
    try:
        return body.decode("ascii"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
