"""Convoke retries throttled calls to AWS. If the last retry fails, the caller gets an error.

Thus Convoke loses no message silently. tests/contract/test_dynamodb.py tests the throttling of the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from convoke.aws.edges import MAX_ATTEMPTS, AwsEdges
from tests.support.events import an_event
from tests.support.lambda_runtime import environment

ACCOUNT, CONVERSATION = "AC" + "1" * 32, "CH" + "2" * 32


class Aws:
    """A fake AWS service that throttles the first `throttled` calls of one client, and answers the next calls."""

    def __init__(self, client: Any, throttled: int, answer: dict[str, Any]) -> None:
        self.left = throttled
        self.answer = answer
        self.calls = 0
        client.meta.events.register("before-send", self.respond)

    def respond(self, request: Any, **_: object) -> AWSResponse:
        self.calls += 1
        throttled, self.left = self.left > 0, self.left - 1
        body = {"__type": "ThrottlingException", "message": "Rate exceeded"} if throttled else self.answer
        raw = SimpleNamespace(stream=lambda: [json.dumps(body).encode()], read=lambda: json.dumps(body).encode())
        headers: Any = {"content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 400 if throttled else 200, headers, raw)


def send_delivery(edges: AwsEdges) -> None:
    edges.delivery_queue.send([an_event()])


def send_dead_letter(edges: AwsEdges) -> None:
    edges.delivery_dead_letter_queue.send("{}")


def publish(edges: AwsEdges) -> None:
    edges.event_bus.publish([an_event()])


def start_finalizer(edges: AwsEdges) -> None:
    edges.workflow.start(ACCOUNT, CONVERSATION, [])


def fetch_token(edges: AwsEdges) -> None:
    edges.auth_tokens._account_exists = lambda _: True
    assert edges.auth_tokens.fetch(ACCOUNT) == "token"


CALLS: dict[str, tuple[Callable[[AwsEdges], Any], Callable[[AwsEdges], None], dict[str, Any]]] = {
    "SendMessageBatch": (
        lambda edges: edges.delivery_queue.client,
        send_delivery,
        {"Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": ""}], "Failed": []},
    ),
    "SendMessage": (lambda edges: edges.delivery_dead_letter_queue.client, send_dead_letter, {"MessageId": "m"}),
    "PutEvents": (
        lambda edges: edges.event_bus.client,
        publish,
        {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]},
    ),
    "StartExecution": (lambda edges: edges.workflow.client, start_finalizer, {"executionArn": "arn", "startDate": 1}),
    "GetSecretValue": (lambda edges: edges.auth_tokens.client, fetch_token, {"SecretString": "token"}),
}


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> AwsEdges:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return AwsEdges(environment())


@pytest.mark.parametrize("name", CALLS)
def test_throttled_call_is_retried(edges: AwsEdges, name: str) -> None:
    client, call, answer = CALLS[name]
    aws = Aws(client(edges), MAX_ATTEMPTS - 1, answer)
    call(edges)
    assert aws.calls == MAX_ATTEMPTS


@pytest.mark.parametrize("name", CALLS)
def test_call_that_is_always_throttled_raises_an_error(edges: AwsEdges, name: str) -> None:
    client, call, answer = CALLS[name]
    aws = Aws(client(edges), 1000, answer)
    with pytest.raises(ClientError) as raised:
        call(edges)
    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    assert aws.calls == MAX_ATTEMPTS
