"""If a commit fails, the engine drops the unit of work. Every response that depends on the unit is a 503."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.examples import chat
from tests.support.instances import Answer, EmbeddedInstance, held_instance
from tests.support.waiting import eventually

CONVERSATIONS = "/v1/Conversations"
WITH_PARTICIPANTS = "/v1/ConversationWithParticipants"

LARGE = {"Attributes": '{"a": "' + "x" * 16_000 + '"}'}
"""A form that is larger than the free space in the data file. To store the form, the data file must grow."""

CANNOT_BE_USED = "the data file cannot be used"


@pytest.fixture(params=["file", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db") if request.param == "file" else ":memory:"


@contextmanager
def full_disk(instance: EmbeddedInstance) -> Iterator[None]:
    """Prevent the data file from growing during the block."""
    connection = instance.engine.table._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (limit,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA max_page_count = {limit}")


def refusal(answered: Answer) -> tuple[int, int]:
    return answered.status, answered.body["code"]


def test_every_answer_of_dropped_unit_is_503(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            taken = {"UniqueName": "visit", **LARGE}
            with full_disk(instance):
                # All four requests are processed in one tick of the event loop, in this order.
                answers = await asyncio.gather(
                    instance.asked("POST", CONVERSATIONS, taken),
                    instance.asked("GET", f"{CONVERSATIONS}/visit"),
                    instance.asked("POST", CONVERSATIONS, taken),
                    instance.asked("GET", CONVERSATIONS),
                )
            assert [refusal(answered) for answered in answers] == [(503, 20503)] * 4
            assert instance.items("conversation") == instance.items("lock") == []
            assert (await instance.asked("GET", f"{CONVERSATIONS}/visit")).status == 404
            assert (await instance.asked("POST", CONVERSATIONS, taken)).status == 201
            assert (await instance.asked("POST", CONVERSATIONS, taken)).body["code"] == 50353

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_read_outside_dropped_unit_is_answered(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            with full_disk(instance):
                assert (await instance.asked("POST", CONVERSATIONS, LARGE)).status == 503
                assert (await instance.asked("GET", CONVERSATIONS)).body["conversations"] == []

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_request_with_idempotency_key_can_be_repeated_after_failed_commit(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            key = {"Idempotency-Key": "1"}
            with full_disk(instance):
                assert (await instance.asked("POST", CONVERSATIONS, LARGE, **key)).status == 503
            answered = await instance.asked("POST", CONVERSATIONS, LARGE, **key)
            assert (answered.status, "Idempotent-Replayed" in answered.headers) == (201, False)

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_participants_of_dropped_conversation_are_not_handed_over(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            steps, form = instance.engine.steps, {"Participant": chat(10), **LARGE}
            with full_disk(instance):
                assert (await instance.asked("POST", WITH_PARTICIPANTS, form)).status == 503
            assert (len(steps.participants), len(steps.executions)) == (0, 0)
            answered = await instance.asked("POST", WITH_PARTICIPANTS, form)
            path = f"{CONVERSATIONS}/{answered.body['sid']}"
            while (await instance.asked("GET", path)).body["state"] == "initializing":
                await asyncio.sleep(0.01)
            assert len(instance.items("conversation")) == 1

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_caches_forget_dropped_unit(data: str) -> None:
    """The first request sets a timer. The second request caches the account with the timer. Then the commit fails."""

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            with full_disk(instance):
                answers = await asyncio.gather(
                    instance.asked("POST", "/v1/Configuration", {"DefaultInactiveTimer": "PT5M"}),
                    instance.asked("POST", CONVERSATIONS),
                    instance.asked("POST", CONVERSATIONS, LARGE),
                )
            assert [refusal(answered) for answered in answers] == [(503, 20503)] * 3
            assert (await instance.asked("POST", CONVERSATIONS)).body["timers"] == {}

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_events_of_stream_are_published_after_failed_commit(data: str) -> None:
    """The engine drops the unit that publishes the events. It must read the stream again without a new change."""

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            url = "https://hooks.example.com/" + "x" * 1_500
            await instance.asked(
                "POST", "/v1/Configuration/Webhooks", {"PostWebhookUrl": url, "Filters": "onConversationAdded"}
            )
            header = {"X-Twilio-Webhook-Enabled": "true"}
            for _ in range(5):
                assert (await instance.asked("POST", CONVERSATIONS, LARGE, **header)).status == 201
            with full_disk(instance):
                await asyncio.sleep(0.1)
            assert await asyncio.to_thread(eventually, lambda: len(instance.receivers.posted) == 5)

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_failed_commits_are_logged_once_a_minute(data: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            with full_disk(instance):
                for _ in range(20):
                    assert (await instance.asked("POST", CONVERSATIONS, LARGE)).status == 503

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [CANNOT_BE_USED in record.getMessage() for record in errors] == [True]


def test_large_unit_that_fails_before_its_tick_ends_answers_503(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a unit has MAX_ROWS rows or more, the commit happens before the end of the tick."""
    monkeypatch.setattr("convoke.embedded.sqlite.MAX_ROWS", 1)

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            with full_disk(instance):
                assert refusal(await instance.asked("POST", CONVERSATIONS, LARGE)) == (503, 20503)
            assert (await instance.asked("GET", CONVERSATIONS)).body["conversations"] == []
            assert (await instance.asked("POST", CONVERSATIONS, LARGE)).status == 201

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))
