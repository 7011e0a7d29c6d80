"""The local gateway: the events that API Gateway would hand over."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from convoke.local.gateway import gateway_event


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


def test_the_event_has_the_form_of_payload_format_2() -> None:
    event = gateway_event(scope(), b"A=b")
    assert event["version"] == "2.0"
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/v1/Conversations/größe #1"
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["queryStringParameters"] == {"PageSize": "2", "Page": "1,2", "Empty": "", "Name": "a b"}
    assert event["headers"]["x-a"] == "1,2"
    assert (event["body"], event["isBase64Encoded"]) == ("A=b", False)


def test_a_body_that_is_not_ascii_comes_in_base64() -> None:
    event = gateway_event(scope(), "é".encode())
    assert (base64.b64decode(event["body"]).decode(), event["isBase64Encoded"]) == ("é", True)


@pytest.mark.parametrize("trusted", [False, True])
def test_forwarded_headers_count_only_where_they_are_trusted(trusted: bool) -> None:
    headers = [(b"host", b"inside"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"convoke.example.com")]
    seen = gateway_event(scope(headers=headers), b"", trust_forwarded=trusted)["headers"]
    expected = ("https", "convoke.example.com") if trusted else ("http", "inside")
    assert (seen["x-forwarded-proto"], seen["host"]) == expected


def test_without_a_proxy_the_scheme_is_the_server_s_own() -> None:
    assert gateway_event(scope(), b"", trust_forwarded=True)["headers"]["x-forwarded-proto"] == "http"
    assert gateway_event(scope(), b"")["headers"]["x-forwarded-proto"] == "http"
