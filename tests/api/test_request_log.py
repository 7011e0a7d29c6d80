"""The embedded engine keeps the last requests with valid credentials in memory, except the console's own reads.

An account sees only its own requests. See docs/console.md#requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from convoke.embedded import api_docs
from convoke.embedded.request_log import MAX_LOGGED_FORM_BYTES, MAX_LOGGED_REQUESTS
from tests.support.instances import ORIGIN, EmbeddedInstance, event_of, held_instance

PATH = "/convoke/v1/Requests"


def served(use: Callable[[EmbeddedInstance], Awaitable[None]]) -> None:
    async def serve() -> None:
        with held_instance() as instance:
            async with instance.served():
                await use(instance)

    asyncio.run(serve())


async def logged(instance: EmbeddedInstance, after: int = 0) -> list[Any]:
    found: list[Any] = (await instance.asked("GET", f"{PATH}?After={after}")).body["requests"]
    return found


async def send(instance: EmbeddedInstance, method: str, path: str, auth: tuple[str, str] | None, **given: Any) -> int:
    assert instance.gateway
    return (await instance.gateway.answer(event_of(method, ORIGIN + path, auth=auth, **given))).status_code


def test_requests_are_listed_newest_first_with_route_form_and_code() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        await instance.asked("POST", "/v1/Conversations", {"UniqueName": "visit"})
        await instance.asked("GET", "/v1/Conversations/visit?x=1")
        await instance.asked("POST", "/v1/Conversations", {"UniqueName": "visit"})
        third, second, first = await logged(instance)
        assert [each["number"] for each in (first, second, third)] == [1, 2, 3]
        assert (first["method"], first["route"], first["form"], first["status"], first["code"]) == (
            "POST",
            "/v1/Conversations",
            "UniqueName=visit",
            201,
            None,
        )
        assert (second["route"], second["path"], second["query"]) == (
            "/v1/Conversations/{sid}",
            "/v1/Conversations/visit",
            "x=1",
        )
        assert (third["status"], third["code"]) == (409, 50353)
        assert third["milliseconds"] > 0

    served(use)


def test_only_newer_requests_are_listed_after_a_number() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        for _ in range(3):
            await instance.asked("GET", "/v1/Services")
        assert [each["number"] for each in await logged(instance, after=2)] == [3]
        assert (await instance.asked("GET", f"{PATH}?After=x")).status == 400

    served(use)


def test_account_sees_its_own_requests_and_those_of_its_keys() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        other = instance.accounts.create()
        key, secret = instance.accounts.api_keys.create(instance.account.sid)
        others_key, others_secret = instance.accounts.api_keys.create(other.sid)
        others_token = instance.accounts.token(other.sid)
        assert await send(instance, "GET", "/v1/Services", (other.sid, others_token)) == 200
        assert await send(instance, "GET", "/v1/Services", (others_key.sid, others_secret)) == 200
        assert await send(instance, "GET", "/v1/Conversations", (key.sid.upper(), secret)) == 200
        assert await send(instance, "GET", "/v1/Alerts", (instance.account.sid, instance.token)) == 200
        assert [each["route"] for each in await logged(instance)] == ["/v1/Alerts", "/v1/Conversations"]

    served(use)


def test_requests_without_valid_credentials_are_not_kept() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        assert await send(instance, "GET", "/v1/Services", (instance.account.sid, "wrong")) == 401
        assert await send(instance, "GET", "/v1/Services", None) == 401
        assert await logged(instance) == []

    served(use)


def test_requests_to_public_routes_and_pages_are_not_kept_because_their_credentials_are_not_checked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api_docs, "find_spec", lambda _: None)

    async def use(instance: EmbeddedInstance) -> None:
        for path in ("/healthz", "/openapi.json", "/docs", "/console"):
            await send(instance, "GET", path, (instance.account.sid, "wrong"))
        assert await logged(instance) == []

    served(use)
    assert caplog.records == []


def test_requests_of_the_console_itself_are_not_kept() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        auth, headers = (instance.account.sid, instance.token), {"Sec-Fetch-Site": "same-origin"}
        assert await send(instance, "GET", "/v1/Services", auth, headers=headers) == 200
        assert await send(instance, "POST", "/v1/Conversations", auth, headers=headers) == 201
        assert [each["method"] for each in await logged(instance)] == ["POST"]

    served(use)


def test_log_has_the_last_1000_requests_and_4_kb_of_each_form() -> None:
    async def use(instance: EmbeddedInstance) -> None:
        for _ in range(MAX_LOGGED_REQUESTS):
            await instance.asked("GET", "/v1/nothing")
        await instance.asked("POST", "/v1/Services", {"FriendlyName": "ü" * 3000})
        found = await logged(instance)
        assert (len(found), found[0]["number"], found[-1]["number"]) == (1000, 1001, 2)
        assert (found[0]["route"], found[1]["route"]) == ("/v1/Services", None)
        assert len(found[0]["form"]) == MAX_LOGGED_FORM_BYTES

    served(use)
