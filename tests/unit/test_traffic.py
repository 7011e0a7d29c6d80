"""`convoke up` prints one line for each request, each webhook delivery and each call of a chat client.

Health checks have no line. See cli/traffic.py.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator

import click
import pytest

from convoke.api.responses import Response
from convoke.cli import traffic
from convoke.cli.traffic import Traffic, chat_line, line_as_text, request_line
from convoke.domain.instants import now
from convoke.embedded.observation import CONNECT, FinishedChatCall, FinishedDelivery, FinishedRequest
from convoke.testing.instance import RunningInstance, running
from tests.support.instances import event_of

SECRETS = ("Hello", "visit", "alice", "+15558675310", "user", "password", "token", "page", "fragment")


class Finished:
    """An observer that stores every finished request and delivery."""

    def __init__(self) -> None:
        self.all: list[FinishedRequest | FinishedDelivery] = []

    def request_finished(self, request: FinishedRequest) -> None:
        self.all.append(request)

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        self.all.append(delivery)

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        """Do nothing. tests/api/test_chat.py tests the calls of chat clients."""


@pytest.fixture(scope="module")
def instance() -> Iterator[RunningInstance]:
    with running() as instance:
        yield instance


def printed(instance: RunningInstance, finished: Finished, *, as_json: bool) -> list[str]:
    stream = io.StringIO()
    printer = Traffic(instance._engine.api.rule_of, as_json=as_json, stream=stream)
    for each in finished.all:
        if isinstance(each, FinishedRequest):
            printer.request_finished(each)
        else:
            printer.delivery_finished(each)
    printer.close()
    return stream.getvalue().splitlines()


@pytest.fixture(scope="module")
def finished(instance: RunningInstance) -> Finished:
    finished = Finished()
    instance._engine.observers.add(finished)
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(
        post_webhook_url="http://user:password@127.0.0.1:9/hook?token=1#rc=0&fragment", filters=["onMessageAdded"]
    )
    conversation = v1.conversations(v1.conversations.create(unique_name="visit").sid)
    conversation.participants.create(identity="alice")
    conversation.messages.create(body="Hello", author="alice", x_twilio_webhook_enabled="true")
    v1.conversations("visit").participants.list(limit=1)
    with pytest.raises(Exception, match="not found"):
        v1.conversations("visit").participants("+15558675310").fetch()
    conversation.delete()
    instance.settle()
    return finished


def test_health_checks_have_no_line(instance: RunningInstance) -> None:
    finished = Finished()
    instance._engine.observers.add(finished)
    instance.client().request("GET", f"{instance.url}/healthz")
    assert len(finished.all) == 1
    assert printed(instance, finished, as_json=True) == []


def test_each_request_and_delivery_has_one_line_of_json(instance: RunningInstance, finished: Finished) -> None:
    lines = [json.loads(line) for line in printed(instance, finished, as_json=True)]
    conversation = next(line["sid"] for line in lines if line.get("route") == "/v1/Conversations")
    requests = [(line["method"], line["route"], line["status"], line.get("code")) for line in lines if "route" in line]
    participants = "/v1/Conversations/{conversation_sid}/Participants"
    assert requests == [
        ("POST", "/v1/Configuration/Webhooks", 200, None),
        ("POST", "/v1/Conversations", 201, None),
        ("POST", participants, 201, None),
        ("POST", "/v1/Conversations/{conversation_sid}/Messages", 201, None),
        ("GET", participants, 200, None),
        ("GET", f"{participants}/{{sid}}", 404, 20404),
        ("DELETE", "/v1/Conversations/{sid}", 204, None),
    ]
    assert [line["sid"] for line in lines if line.get("method") == "DELETE"] == [conversation]
    assert [line for line in lines if None in line.values()] == []
    (delivery,) = (line for line in lines if "event" in line)
    del delivery["time"]
    assert delivery == {
        "event": "onMessageAdded",
        "conversation": conversation,
        "receiver": "http://127.0.0.1:9/hook",
        "error": "no connection (ConnectionRefusedError)",
        "attempt": 1,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_contain_no_names_addresses_identities_or_queries(
    instance: RunningInstance, finished: Finished, as_json: bool
) -> None:
    text = "\n".join(printed(instance, finished, as_json=as_json))
    assert len(text.splitlines()) == len(finished.all)
    assert not [secret for secret in SECRETS if secret in text]


def test_text_has_colours_only_on_a_terminal(instance: RunningInstance, finished: Finished) -> None:
    line = line_as_text({"time": now(), "method": "GET", "route": "/", "status": 500, "milliseconds": 1.0})
    assert click.unstyle(line) != line
    assert not any("\x1b" in each for each in printed(instance, finished, as_json=False))


@pytest.mark.parametrize(
    ("status", "colour"),
    [(None, "red"), (204, "green"), (400, "yellow"), (404, "yellow"), (500, "red"), (503, "red")],
)
def test_colour_shows_whether_a_request_or_a_delivery_failed(status: int | None, colour: str) -> None:
    line = line_as_text({"time": now(), "method": "GET", "route": "/", "status": status, "milliseconds": 1.0})
    assert click.style(str(status or "---"), fg=colour) in line


@pytest.mark.parametrize("status", [400, 404])
def test_line_of_a_refused_request_has_the_code_and_the_sid_in_the_path(status: int) -> None:
    sid = "CH" + "1" * 32
    event = event_of("GET", f"http://localhost/v1/Conversations/{sid}")
    response = Response(status, "application/json", json.dumps({"code": 20001, "sid": "other"}))
    line = request_line(FinishedRequest(event, response, 0.001), now(), lambda _: None)
    assert (line["status"], line["code"], line["sid"]) == (status, 20001, sid)


@pytest.mark.parametrize("body", ["", "<html>", "[]"])
def test_line_of_an_answer_that_is_not_a_json_object_has_no_code(body: str) -> None:
    event = event_of("GET", "http://localhost/console")
    line = request_line(FinishedRequest(event, Response(404, body=body), 0.001), now(), lambda _: None)
    assert {*line} == {"time", "method", "route", "status", "milliseconds"}


@pytest.mark.parametrize(
    ("error", "end"), [({}, "attempt 2"), ({"error": "no connection"}, "attempt 2  no connection")]
)
def test_text_of_a_delivery_shows_the_receiver_and_the_error(error: dict[str, str], end: str) -> None:
    delivery = {"event": "onMessageAdded", "conversation": "CH1", "receiver": "http://h/", "attempt": 2}
    line = click.unstyle(line_as_text({"time": now(), **delivery, **error}))
    assert line.endswith(f"  event   ---          onMessageAdded  CH1  -> http://h/  {end}")


@pytest.mark.parametrize(
    ("call", "end"),
    [
        (FinishedChatCall(CONNECT, 200, None, "US1", 0.0012), "200     1.2 ms  connect  US1"),
        (FinishedChatCall(CONNECT, 401, 20104, None, 0.0012), "401     1.2 ms  connect  error 20104"),
        (
            FinishedChatCall("POST", 201, None, "IM1", 0.01, lambda: "/v1/M/<sid>"),
            "201    10.0 ms  POST /v1/M/{sid}  IM1",
        ),
        (FinishedChatCall("GET", 404, 20404, None, 0.01), "404    10.0 ms  GET (no route)  error 20404"),
    ],
)
def test_text_of_a_chat_call_shows_its_action_and_its_outcome(call: FinishedChatCall, end: str) -> None:
    line = click.unstyle(line_as_text(chat_line(call, now())))
    assert line.endswith(f"  chat    {end}")


class BlockedStream(io.StringIO):
    """A stream whose writes wait until `may_write` is set, for at most ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = threading.Event()
        self.is_blocked = threading.Event()

    def write(self, text: str) -> int:
        self.is_blocked.set()
        self.may_write.wait(10)
        return super().write(text)


def test_terminal_that_does_not_read_blocks_nothing_and_dropped_lines_are_counted(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "MAX_WAITING_LINES", 2)
    stream = BlockedStream()
    printer = Traffic(lambda _: None, as_json=False, stream=stream)
    request = next(each for each in finished.all if isinstance(each, FinishedRequest))
    printer.request_finished(request)
    assert stream.is_blocked.wait(10)
    for _ in range(5):
        printer.request_finished(request)
    stream.may_write.set()
    until_idle(printer)
    printer.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith("3 lines were dropped, because the terminal was too slow")


def until_idle(printer: Traffic) -> None:
    while not printer._waiting.empty() or printer._dropped:
        pass


class ClosedStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_closed_terminal_stops_the_lines_only(finished: Finished) -> None:
    printer = Traffic(lambda _: None, as_json=False, stream=ClosedStream())
    request = next(each for each in finished.all if isinstance(each, FinishedRequest))
    for _ in range(3):
        printer.request_finished(request)
    printer.close()
    assert not printer._thread.is_alive()
    assert printer._waiting.empty(), "further lines are discarded"
