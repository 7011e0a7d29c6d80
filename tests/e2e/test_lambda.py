"""Every built function handles its sample events on AWS's Lambda runtime (`make e2e-lambda`).

The samples are in events/. The tests run the emulator of `sam local invoke` without a container. The functions call
MiniStack instead of AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convoke.cli.ministack import Stack, deployed
from convoke.cli.sam_local import filled_in
from tests.support import lambda_runtime
from tests.support.lambda_runtime import EVENTS
from tests.support.template import functions

pytestmark = [pytest.mark.built, pytest.mark.timeout(300)]


MAX_TRIES = 10

RACE_ERRORS = {"NotReadyError", "NothingToFinalizeError"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with deployed() as stack:
        yield stack


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lambda_runtime.install_client(tmp_path_factory.mktemp("client"))


def answers(function: str, stack: Stack, client: Path, conversation_sid: str = "-") -> dict[str, Any]:
    """Invoke a function with each of its sample events, in one environment.

    Return a mapping from each sample's name to its result.
    """
    samples = sorted((EVENTS / function).glob("*.json"))
    with lambda_runtime.emulated(function, stack, client) as emulated:
        return {path.stem: emulated.invoke(json.loads(filled_in(path, stack, conversation_sid))) for path in samples}


def failed(*message_ids: str) -> dict[str, Any]:
    """Return a partial batch response in which these messages failed."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}


def test_every_function_has_sample_events() -> None:
    assert {path.parent.name for path in EVENTS.glob("*/*.json")} == set(functions())


def test_api_creates_a_conversation_and_finalizer_performs_every_task(stack: Stack, client: Path) -> None:
    for _ in range(MAX_TRIES):
        created = answers("api", stack, client)
        statuses = {name: answer["statusCode"] for name, answer in created.items()}
        assert statuses == {"create_base64": 202, "create_plain": 202}
        conversation = json.loads(created["create_base64"]["body"])
        performed = answers("conversation_finalizer", stack, client, conversation["sid"])
        # The functions of the stack finalize the conversation at the same time as this test. If the stack was faster,
        # try again with a new conversation.
        if not RACE_ERRORS & {performed[task].get("errorType") for task in ("finalize", "close")}:
            break
    assert performed["finalize"]["Source"] == performed["close"]["Source"] == "convoke"
    assert performed["settle"] is None


def test_participant_adder_reports_the_unreadable_message_as_batch_item_failure(stack: Stack, client: Path) -> None:
    poison = "00000000-0000-0000-0000-000000000002"
    assert answers("participant_adder", stack, client) == {"batch": failed(poison)}


def test_event_publisher_publishes_a_change(stack: Stack, client: Path) -> None:
    assert answers("event_publisher", stack, client) == {"change": failed()}


def test_webhook_delivery_splits_an_event_and_retries_a_failed_delivery(stack: Stack, client: Path) -> None:
    answered = answers("webhook_delivery", stack, client)
    assert answered["event"] == failed()
    assert len(answered["delivery"]["batchItemFailures"]) == 1


def test_sweeper_returns_a_number(stack: Stack, client: Path) -> None:
    assert isinstance(answers("sweeper", stack, client)["every_minute"], int)
