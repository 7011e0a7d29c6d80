"""The gateway of the embedded engine creates the events that API Gateway would create (embedded/gateway.py)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from convoke.api.form import MAX_REQUEST_BODY_CHARACTERS
from convoke.embedded.gateway import Gateway, gateway_event
from convoke.embedded.greenlets import RequestGreenlets


def scope(**changed: Any) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/v1/Conversations/größe #1",
        "query_string": b"PageSize=2&Page=1&Page=2&Empty=&Name=a%20b",
        "http_version": "1.1",
        "scheme": "http",
        "headers": [(b"Host", b"127.0.0.1:8000"), (b"X-A", b"1"), (b"x-a", b"2")],
        **changed,
    }


def test_gateway_event_has_api_gateway_payload_format_2() -> None:
    event = gateway_event(scope(), b"A=b")
    assert event["version"] == "2.0"
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/v1/Conversations/größe #1"
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["queryStringParameters"] == {"PageSize": "2", "Page": "1,2", "Empty": "", "Name": "a b"}
    assert event["headers"]["x-a"] == "1,2"
    assert (event["body"], event["isBase64Encoded"]) == ("A=b", False)


def test_non_ascii_body_is_base64_encoded() -> None:
    event = gateway_event(scope(), "é".encode())
    assert (base64.b64decode(event["body"]).decode(), event["isBase64Encoded"]) == ("é", True)


@pytest.mark.parametrize("trusted", [False, True])
def test_forwarded_headers_are_ignored_unless_trusted(trusted: bool) -> None:
    headers = [(b"host", b"inside"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"convoke.example.com")]
    seen = gateway_event(scope(headers=headers), b"", trust_forwarded=trusted)["headers"]
    expected = ("https", "convoke.example.com") if trusted else ("http", "inside")
    assert (seen["x-forwarded-proto"], seen["host"]) == expected


def test_without_a_proxy_the_scheme_is_that_of_the_server() -> None:
    assert gateway_event(scope(), b"", trust_forwarded=True)["headers"]["x-forwarded-proto"] == "http"
    assert gateway_event(scope(), b"")["headers"]["x-forwarded-proto"] == "http"


class Recorder:
    """An API that records the events that it receives."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def resolve(self, event: dict[str, Any], _: object) -> dict[str, Any]:
        self.events.append(event)
        if event["requestContext"]["http"]["method"] == "DELETE":
            return {"statusCode": 204, "headers": {}, "body": ""}
        return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"}


def run_gateway(*messages: dict[str, Any], method: str = "POST") -> tuple[Recorder, list[dict[str, Any]]]:
    """Send ASGI messages to the gateway. Returns the API and the messages that the gateway sent to the client."""
    api, sent, waiting = Recorder(), [], list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Gateway(api, RequestGreenlets())(scope(method=method), receive, send))  # type: ignore[arg-type]
    return api, sent


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_request_body_in_several_parts_is_joined() -> None:
    api, sent = run_gateway(part(b"A=b", more=True), part(b"&C=d", more=False))
    assert [event["body"] for event in api.events] == ["A=b&C=d"]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (b"content-length", b"2") in sent[0]["headers"]


def test_response_without_content_has_no_content_length() -> None:
    _, sent = run_gateway(part(b"", more=False), method="DELETE")
    assert sent == [
        {"type": "http.response.start", "status": 204, "headers": []},
        {"type": "http.response.body", "body": b""},
    ]


def test_oversized_body_is_not_buffered_far_beyond_the_limit() -> None:
    megabyte = b"x" * 1_000_000
    api, _ = run_gateway(*[part(megabyte, more=True) for _ in range(20)], part(b"", more=False))
    assert MAX_REQUEST_BODY_CHARACTERS < len(api.events[0]["body"]) <= MAX_REQUEST_BODY_CHARACTERS + 1_000_000


def test_request_is_not_executed_after_the_client_disconnects() -> None:
    api, sent = run_gateway(part(b"A=b", more=True), {"type": "http.disconnect"})
    assert api.events == sent == []


def test_outermost_proxy_wins_and_missing_host_falls_back_to_the_server() -> None:
    headers = [(b"x-forwarded-proto", b"https, http"), (b"x-forwarded-host", b"a.example, b.example")]
    seen = gateway_event(scope(headers=headers, server=("127.0.0.1", 8000)), b"", trust_forwarded=True)["headers"]
    assert (seen["x-forwarded-proto"], seen["host"]) == ("https", "a.example")
    bare = gateway_event(scope(headers=[], server=("127.0.0.1", 8000)), b"")["headers"]
    assert bare["host"] == "127.0.0.1:8000"
