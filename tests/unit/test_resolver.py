"""Routing in concurrent requests (api/resolver.py)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import Response

from convoke.api.resolver import ConcurrentResolver
from convoke.embedded.gateway import RequestContext

THREADS = 8


def event(path: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
    }


@pytest.mark.parametrize("name", ["visit", "two words", "\U0001f600", "a#b?c", "'\"", "line\nbreak", "%2F", "<name>"])
def test_path_value_may_contain_any_character_except_a_slash(name: str) -> None:
    resolver = ConcurrentResolver()
    resolver.get("/v1/Conversations/<name>")(lambda name: Response(200, "text/plain", name))
    assert resolver.resolve(event(f"/v1/Conversations/{name}"), RequestContext())["body"] == name
    assert resolver.resolve(event(f"/v1/Conversations/{name}/x"), RequestContext())["statusCode"] == 404


def test_each_concurrent_request_sees_its_own_event_and_context() -> None:
    resolver, together = ConcurrentResolver(), Barrier(THREADS)

    @resolver.get("/<number>")
    def handle(number: str) -> Response[str]:
        resolver.context["number"] = number
        together.wait(10)
        return Response(200, "text/plain", f"{resolver.current_event.raw_path} {resolver.context['number']}")

    resolver.build_middleware_stacks()

    def body(number: int) -> str:
        return str(resolver.resolve(event(f"/{number}"), RequestContext())["body"])

    with ThreadPoolExecutor(THREADS) as pool:
        bodies = list(pool.map(body, range(THREADS)))
    assert bodies == [f"/{number} {number}" for number in range(THREADS)]
