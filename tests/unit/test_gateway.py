"""The embedded engine's gateway creates the same events as API Gateway, and runs the requests (embedded/gateway.py)."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from convoke.api.deferred import Deferred
from convoke.api.form import MAX_REQUEST_BODY_BYTES
from convoke.api.responses import Response
from convoke.embedded.admission import Admission
from convoke.embedded.gateway import ConversationWaiters, Gateway, gateway_event
from convoke.embedded.observation import Observers
from convoke.embedded.request_runner import RequestRunner
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.suspension import NeedsThreadError, RunAgainError
from convoke.operations.conversations import sleep_before_retry
from convoke.operations.waiting import Reading
from convoke.storage.table import Item, Put


def scope(**changed: Any) -> dict[str, Any]:
    return {
        "type": "http",
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
    assert event["rawQueryString"] == "PageSize=2&Page=1&Page=2&Empty=&Name=a%20b"
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


class FakeApi:
    """A fake API that records its events and answers with `answers` in order. The last answer is repeated.

    If an answer is an exception, the API raises the exception. If an answer is a function, the API calls the function.
    """

    def __init__(self, *answers: Response | Deferred | BaseException | Callable[[], Response | Deferred]) -> None:
        self.events: list[dict[str, Any]] = []
        self.threads: list[int] = []
        self.readings: list[Callable[[], Reading]] = []
        self.conversation_waiter = SimpleNamespace(read=lambda seen: self.readings.pop(0)())
        self._answers = list(answers)

    def answer(self, event: dict[str, Any], _: object) -> Response | Deferred:
        self.events.append(event)
        self.threads.append(threading.get_ident())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Response | Deferred) else answer()

    def rendered(self, deferred: Deferred, conversation: Any) -> Response:
        return deferred.render(conversation)


OK = Response(200, "application/json", "{}")


@dataclass
class Machine:
    api: FakeApi
    gateway: Gateway
    table: SqliteTable
    waiters: ConversationWaiters
    log: list[str]
    """The calls of the callbacks of `Admission`, in order.

    An entry is `arrived` for a call of `request_arrived`, or `answered` for a call of `request_answered`.
    """


def no_chat() -> NoReturn:
    raise AssertionError("no test of this file opens a WebSocket")


def run(
    api: FakeApi, scenario: Callable[[Machine], Awaitable[None]], *, path: str = ":memory:", age: float = 0.0
) -> None:
    async def attached() -> None:
        table, waiters, log = SqliteTable(path), ConversationWaiters(), list[str]()
        table.attach(asyncio.get_running_loop())
        admission = Admission(lambda: age)
        admission.request_arrived = lambda: log.append("arrived")
        admission.request_answered = lambda: log.append("answered")
        runner = RequestRunner(table, admission, lock_timeout=0.1)
        gateway = Gateway(api, runner, waiters.end, waiters, Observers(), no_chat)  # type: ignore[arg-type]
        try:
            await scenario(Machine(api, gateway, table, waiters, log))
        finally:
            gateway.close()
            table.close()

    asyncio.run(asyncio.wait_for(attached(), 10))


def run_gateway(
    *messages: dict[str, Any], method: str = "POST", answer: Response = OK
) -> tuple[FakeApi, list[dict[str, Any]]]:
    """Send ASGI messages to the gateway. Return the fake API and the ASGI messages that the client received."""
    api, sent, waiting = FakeApi(answer), list[dict[str, Any]](), list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def scenario(machine: Machine) -> None:
        await machine.gateway(scope(method=method), receive, send)

    run(api, scenario)
    return api, sent


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_request_body_in_several_parts_is_joined() -> None:
    api, sent = run_gateway(part(b"A=b", more=True), part(b"&C=d", more=False))
    assert [event["body"] for event in api.events] == ["A=b&C=d"]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (b"content-length", b"2") in sent[0]["headers"]


def test_response_without_content_has_no_content_length() -> None:
    _, sent = run_gateway(part(b"", more=False), method="DELETE", answer=Response(204))
    assert sent == [
        {"type": "http.response.start", "status": 204, "headers": []},
        {"type": "http.response.body", "body": b""},
    ]


def test_oversized_body_is_not_buffered_far_beyond_the_limit() -> None:
    megabyte = b"x" * 1_000_000
    api, _ = run_gateway(*[part(megabyte, more=True) for _ in range(20)], part(b"", more=False))
    assert MAX_REQUEST_BODY_BYTES < len(api.events[0]["body"]) <= MAX_REQUEST_BODY_BYTES + 1_000_000


def test_request_is_not_executed_after_the_client_disconnects() -> None:
    api, sent = run_gateway(part(b"A=b", more=True), {"type": "http.disconnect"})
    assert api.events == sent == []


def test_outermost_proxy_wins_and_missing_host_falls_back_to_the_server() -> None:
    headers = [(b"x-forwarded-proto", b"https, http"), (b"x-forwarded-host", b"a.example, b.example")]
    seen = gateway_event(scope(headers=headers, server=("127.0.0.1", 8000)), b"", trust_forwarded=True)["headers"]
    assert (seen["x-forwarded-proto"], seen["host"]) == ("https", "a.example")
    bare = gateway_event(scope(headers=[], server=("127.0.0.1", 8000)), b"")["headers"]
    assert bare["host"] == "127.0.0.1:8000"


# How often a request runs

EVENT = gateway_event(scope(), b"")
PUT = Put({"pk": "a", "sk": "b"})


def putting(table: Callable[[], SqliteTable], answer: Response | Deferred = OK) -> Callable[[], Response | Deferred]:
    def put() -> Response | Deferred:
        table().transact([PUT])
        return answer

    return put


def test_answer_waits_for_the_commit_of_its_tick() -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([PUT])
        committed = machine.table.committed()
        answered = await machine.gateway.answer(EVENT)
        assert answered is OK
        assert committed
        assert committed.done()
        assert machine.log == ["arrived", "answered"]

    run(FakeApi(OK), scenario)


def test_answer_becomes_503_if_the_commit_fails() -> None:
    async def scenario(machine: Machine) -> None:
        machine.table.transact([PUT])
        machine.table._connection.execute("PRAGMA query_only = 1")
        answered = await machine.gateway.answer(EVENT)
        assert (answered.status_code, json.loads(answered.body)["code"]) == (503, 20503)
        assert "Retry-After" not in answered.headers

    run(FakeApi(OK), scenario)


def test_request_that_lost_a_race_is_run_again_without_stopping_the_loop() -> None:
    async def scenario(machine: Machine) -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        assert await machine.gateway.answer(EVENT) is OK
        ticking.cancel()
        assert machine.api.events == [EVENT] * 3
        assert ticks > 3
        assert set(machine.api.threads) == {threading.get_ident()}

    run(FakeApi(RunAgainError(), RunAgainError(), OK), scenario)


def test_request_never_sleeps_on_the_loop_before_a_retry() -> None:
    def retry() -> Response:
        sleep_before_retry.get()(0.1)
        raise AssertionError

    async def scenario(machine: Machine) -> None:
        assert await machine.gateway.answer(EVENT) is OK
        assert len(machine.api.events) == 2
        assert machine.log == ["arrived", "answered"], "the runs are one request"

    run(FakeApi(retry, OK), scenario)


def test_request_is_refused_if_the_write_lock_is_held_for_too_long(tmp_path: Path) -> None:
    path, tables = str(tmp_path / "convoke.db"), list[SqliteTable]()

    async def scenario(machine: Machine) -> None:
        tables.append(machine.table)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await machine.gateway.answer(EVENT)).status_code == 503
            assert len(machine.api.events) > 3
        assert await machine.gateway.answer(EVENT) is OK

    run(FakeApi(putting(lambda: tables[0])), scenario, path=path)


def test_request_with_endless_conflicts_is_refused_after_the_same_time_as_on_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a conflict, the gateway repeats the request until MAX_CONTENTION_SECONDS have passed.

    The shorter limit `lock_timeout` (see `run`) does not apply to conflicts.
    """
    monkeypatch.setattr("convoke.embedded.request_runner.MAX_CONTENTION_SECONDS", 0.4)

    def lose() -> Response:
        sleep_before_retry.get()(0.1)
        raise AssertionError

    async def scenario(machine: Machine) -> None:
        begun = time.monotonic()
        assert (await machine.gateway.answer(EVENT)).status_code == 503
        assert time.monotonic() - begun >= 0.4

    run(FakeApi(lose), scenario)


def test_request_that_must_wait_for_a_receiver_is_run_again_on_a_thread_and_others_go_on() -> None:
    go = threading.Event()
    tables: list[SqliteTable] = []

    def wait_and_write() -> Response | Deferred:
        assert go.wait(5)
        return putting(lambda: tables[0])()

    async def scenario(machine: Machine) -> None:
        tables.append(machine.table)
        waiting = asyncio.create_task(machine.gateway.answer(EVENT))
        await asyncio.sleep(0.02)
        assert await machine.gateway.answer(EVENT) is OK
        assert not waiting.done()
        go.set()
        assert await waiting is OK
        here = threading.get_ident()
        assert [thread == here for thread in machine.api.threads] == [True, False, True]
        assert machine.table.get(PUT.key) == PUT.item

    run(FakeApi(NeedsThreadError(), wait_and_write, OK), scenario)


def test_new_work_is_shed_while_steps_are_late_and_reads_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.admission.MAX_ADMISSION_WAIT_SECONDS", 0.05)

    async def scenario(machine: Machine) -> None:
        shed = await machine.gateway.answer(EVENT)
        assert (shed.status_code, json.loads(shed.body)["code"], shed.headers["Retry-After"]) == (503, 20503, "1")
        assert (machine.api.events, machine.log) == ([], [])
        assert await machine.gateway.answer(gateway_event(scope(method="GET"), b"")) is OK
        controls = scope(path="/convoke/v1/Clock")
        assert await machine.gateway.answer(gateway_event(controls, b"")) is OK

    run(FakeApi(OK), scenario, age=60)


# Responses that wait on the server


def conversation(state: str) -> Any:
    return SimpleNamespace(sid="CH1", state=state)


def deferred(seconds: int = 5) -> Deferred:
    return Deferred(conversation("initializing"), seconds, lambda seen: Response(201, body=seen.state))


def reading(state: str) -> Reading:
    return Reading(conversation(state), is_final=state != "initializing")


CHANGE: Item = {"pk": "a", "sk": "change", "conversation_sid": "CH1"}


def test_deferred_answer_waits_for_changes_of_its_conversation() -> None:
    async def scenario(machine: Machine) -> None:
        machine.api.readings = [lambda: reading("initializing"), lambda: reading("active")]
        answering = asyncio.create_task(machine.gateway.answer(EVENT))
        await asyncio.sleep(0)
        machine.waiters.changed([{**CHANGE, "conversation_sid": "CH2"}, CHANGE])
        assert machine.log == ["arrived", "answered"], "what only waits takes no time from the steps"
        assert (await answering).body == "active"
        assert machine.api.readings == []

    run(FakeApi(deferred()), scenario)


def test_deferred_answer_is_given_after_its_time() -> None:
    async def scenario(machine: Machine) -> None:
        machine.api.readings = [lambda: reading("initializing")] * 99
        assert (await machine.gateway.answer(EVENT)).body == "initializing"

    run(FakeApi(deferred(seconds=1)), scenario)


def test_deferred_answer_is_given_at_once_when_the_server_stops() -> None:
    async def scenario(machine: Machine) -> None:
        machine.api.readings = [lambda: reading("initializing")]
        answering = asyncio.create_task(machine.gateway.answer(EVENT))
        await asyncio.sleep(0)
        machine.gateway.begin_stop()
        assert (await answering).body == "initializing"
        machine.api.readings = [lambda: reading("initializing")]
        assert (await machine.gateway.answer(EVENT)).body == "initializing"

    run(FakeApi(deferred(seconds=20)), scenario)


def test_deferred_answer_shows_only_committed_data() -> None:
    async def scenario(machine: Machine) -> None:
        def uncommitted() -> Reading:
            machine.table.transact([PUT])
            machine.table._connection.execute("PRAGMA query_only = 1")
            return reading("active")

        def healed() -> Reading:
            machine.table._connection.execute("PRAGMA query_only = 0")
            return reading("closed")

        machine.api.readings = [uncommitted, healed]
        assert (await machine.gateway.answer(EVENT)).body == "closed"

    run(FakeApi(deferred()), scenario)


def test_waiter_that_is_gone_leaves_nothing_behind() -> None:
    async def scenario(machine: Machine) -> None:
        await machine.waiters.change("CH1", 0.01)
        waiting = asyncio.create_task(machine.waiters.change("CH1", 60))
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert not machine.waiters._waiting

    run(FakeApi(OK), scenario)
