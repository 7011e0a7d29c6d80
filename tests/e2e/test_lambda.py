"""Every function as it is built, under AWS's own runtime, called with every sample of events/ (`make e2e-lambda`).

The emulator is the one that `sam local invoke` runs in its containers, here without a container. Its AWS is MiniStack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convoke.local.aws_stack import Stack, deployed
from tests.support import lambda_runtime
from tests.support.lambda_runtime import EVENTS
from tests.support.template import functions

pytestmark = [pytest.mark.built, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with deployed() as stack:
        yield stack


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lambda_runtime.install_client(tmp_path_factory.mktemp("client"))


def answers(function: str, stack: Stack, client: Path, conversation_sid: str = "-") -> dict[str, Any]:
    """What one environment of a function answers to each of its samples, by the name of the file."""
    samples = sorted((EVENTS / function).glob("*.json"))
    with lambda_runtime.emulated(function, stack, client) as emulated:
        return {path.stem: emulated.invoke(lambda_runtime.filled_in(path, stack, conversation_sid)) for path in samples}


def failed(*message_ids: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}


def test_there_are_samples_for_every_function() -> None:
    assert {path.parent.name for path in EVENTS.glob("*/*.json")} == set(functions())


def test_the_api_takes_a_request_and_the_finalizer_performs_each_of_its_tasks(stack: Stack, client: Path) -> None:
    """The other sample of the API is the same request in another form: its address and proxy are taken then."""
    created = answers("api", stack, client)
    statuses = {name: answer["statusCode"] for name, answer in created.items()}
    assert statuses == {"create_base64": 202, "create_plain": 409}
    conversation = json.loads(created["create_base64"]["body"])
    performed = answers("conversation_finalizer", stack, client, conversation["sid"])
    assert performed["finalize"]["Source"] == performed["close"]["Source"] == "convoke"
    assert performed["settle"] is None


def test_of_a_batch_the_message_that_cannot_be_read_comes_again(stack: Stack, client: Path) -> None:
    poison = "00000000-0000-0000-0000-000000000002"
    assert answers("participant_adder", stack, client) == {"batch": failed(poison)}


def test_a_change_is_published(stack: Stack, client: Path) -> None:
    assert answers("event_publisher", stack, client) == {"change": failed()}


def test_an_event_is_split_and_a_delivery_to_nobody_comes_again(stack: Stack, client: Path) -> None:
    answered = answers("webhook_delivery", stack, client)
    assert answered["event"] == failed()
    assert len(answered["delivery"]["batchItemFailures"]) == 1


def test_a_sweep_attends_to_what_is_due(stack: Stack, client: Path) -> None:
    assert isinstance(answers("sweeper", stack, client)["every_minute"], int)
