"""If a commit fails, the engine drops the unit of work. All responses that depend on the unit become 503.

A unit of work contains the writes of one commit: usually all writes of one tick of the event loop.

The engine repeats its background work, and logs failures at most once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from convoke.embedded.checkpoints import Checkpoints
from convoke.embedded.queue import DurableQueue
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.steps import Steps
from convoke.observability import Measure
from convoke.operations.due_conversations import DueConversations
from tests.api.test_prefer_wait import HoldingQueue, hold_participants
from tests.support.examples import chat
from tests.support.instances import Answer, EmbeddedInstance, held_instance
from tests.support.waiting import TIMEOUT_SECONDS, eventually

CONVERSATIONS = "/v1/Conversations"
WITH_PARTICIPANTS = "/v1/ConversationWithParticipants"

LARGE = {"Attributes": '{"a": "' + "x" * 16_000 + '"}'}
"""A form that does not fit into the free space of the data file, so the file must grow."""

CANNOT_BE_USED = "the data file cannot be used"


@pytest.fixture(params=["file", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db") if request.param == "file" else ":memory:"


@contextmanager
def full_disk(instance: EmbeddedInstance) -> Iterator[None]:
    """Keep the data file from growing until the block ends."""
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
                # The event loop runs the four requests in one tick, in this order.
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
    """The first request sets a default timer, and the second request caches the timer. Then the commit fails.

    After that, a new conversation must not get the timer from a cache.
    """

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
    """The engine drops the unit of work that publishes the events.

    The engine must then read the stream again without waiting for a new change.
    """

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
    """A unit of work with MAX_ROWS rows or more is committed before the tick ends. Here, this commit fails."""
    monkeypatch.setattr("convoke.embedded.sqlite.MAX_ROWS", 1)

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            with full_disk(instance):
                assert refusal(await instance.asked("POST", CONVERSATIONS, LARGE)) == (503, 20503)
            assert (await instance.asked("GET", CONVERSATIONS)).body["conversations"] == []
            assert (await instance.asked("POST", CONVERSATIONS, LARGE)).status == 201

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


class RecordedMetrics:
    def __init__(self) -> None:
        self.measures: list[Measure] = []

    def add(self, measure: Measure, value: float = 1) -> None:
        self.measures.append(measure)


def test_dropped_conversation_leaves_no_log_line_and_no_metric(data: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="convoke")
    metrics = RecordedMetrics()

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            form = {"Participant": chat(2), **LARGE}
            with full_disk(instance):
                assert (await instance.asked("POST", WITH_PARTICIPANTS, form)).status == 503
            assert "conversation created" not in caplog.messages
            assert metrics.measures == []
            assert (await instance.asked("POST", WITH_PARTICIPANTS, form, Prefer="wait=10")).body["state"] == "active"
            assert caplog.messages.count("conversation created") == caplog.messages.count("conversation finalized") == 1
            assert metrics.measures == [Measure.CREATED, Measure.ACTIVATED, Measure.TIME_TO_ACTIVE]

    with held_instance(data, metrics=metrics) as instance:
        asyncio.run(scenario(instance))


class FailureCounter:
    """Counts how often each watched method raises an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.failed: Counter[str] = Counter()

    def watch(self, owner: type, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            try:
                return original(*arguments, **options)
            except Exception:
                self.failed[name] += 1
                raise

        self._monkeypatch.setattr(owner, name, counted)


def test_all_background_work_together_logs_one_failure_of_the_data_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper, the steps, the deliveries, the checkpoints and a request fail at the same time."""
    monkeypatch.setattr("convoke.embedded.engine.SWEEP_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr("convoke.embedded.engine.DELIVERY_POLL_SECONDS", 0.02)
    monkeypatch.setattr("convoke.embedded.pauses.MAX_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("convoke.embedded.loops.FAILURE_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("convoke.embedded.deliveries.OWN_FAILURE_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("convoke.embedded.checkpoints.INTERVAL_SECONDS", 0.02)
    counter, broken = FailureCounter(monkeypatch), threading.Event()
    checkpoint = Checkpoints._checkpoint

    def failing_checkpoint(self: Checkpoints, connection: sqlite3.Connection) -> None:
        if broken.is_set():
            raise sqlite3.OperationalError("disk I/O error")
        checkpoint(self, connection)

    monkeypatch.setattr(Checkpoints, "_checkpoint", failing_checkpoint)
    watched = {DueConversations: "__call__", SqliteTable: "begin", Steps: "run", DurableQueue: "has_visible"}
    for owner, name in (*watched.items(), (SqliteTable, "query"), (Checkpoints, "_checkpoint")):
        counter.watch(owner, name)
    called, may_answer = threading.Event(), threading.Event()

    def hold() -> None:
        called.set()
        may_answer.wait(TIMEOUT_SECONDS)

    async def scenario(instance: EmbeddedInstance) -> None:
        instance.receivers.on_call = hold
        async with instance.served():
            form = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationAdded"}
            await instance.asked("POST", "/v1/Configuration/Webhooks", form)
            header = {"X-Twilio-Webhook-Enabled": "true"}
            await instance.asked("POST", CONVERSATIONS, **header)
            assert await asyncio.to_thread(called.wait, TIMEOUT_SECONDS)
            for _ in range(9):
                await instance.asked("POST", WITH_PARTICIPANTS, {"Participant": chat(2)}, **header)
            connection = instance.engine.table._connection
            broken.set()
            connection.execute("PRAGMA query_only = 1")  # Make all commits fail.
            queue = instance.engine.edges.participant_queue
            assert isinstance(queue, HoldingQueue)
            queue.release()
            for attempt in range(40):
                instance.engine._sweep_until = instance.engine.edges.now() + timedelta(hours=1)
                assert (await instance.asked("POST", "/v1/Configuration/Webhooks", form)).status == 503
                await asyncio.sleep(0.02)
                if attempt == 20:
                    may_answer.set()
                    connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)  # Make all statements fail.
            connection.set_authorizer(None)
            connection.execute("PRAGMA query_only = 0")
            broken.clear()

    data = str(tmp_path / "convoke.db")
    with held_instance(data, hold_participants) as instance:
        asyncio.run(scenario(instance))
    assert counter.failed.keys() == {*watched.values(), "query", "_checkpoint"}
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in errors] == ["convoke.embedded.failures"]
