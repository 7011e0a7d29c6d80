"""A response shows only data that the server has committed. These tests delay the commits."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from convoke.embedded.sqlite import SqliteTable
from tests.support.examples import chat
from tests.support.instances import Answer, EmbeddedInstance, held_instance

CONVERSATIONS = "/v1/Conversations"
WITH_PARTICIPANTS = "/v1/ConversationWithParticipants"

DELAY_SECONDS = 0.1


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db")


@pytest.fixture
def instance(data: str) -> Iterator[EmbeddedInstance]:
    with held_instance(data) as made:
        yield made


def delay_commits(table: SqliteTable) -> None:
    """Delay each commit by DELAY_SECONDS. Until then, other requests can see uncommitted data."""
    end_tick = table._end_tick

    def delayed() -> None:
        asyncio.get_running_loop().call_later(DELAY_SECONDS, end_tick)

    table._end_tick = delayed  # type: ignore[method-assign]


def stored_conversations(data: str) -> list[dict[str, Any]]:
    """Return the committed conversations, read over a second connection to the data file."""
    with closing(sqlite3.connect(data)) as connection:
        rows = connection.execute("SELECT body FROM items WHERE sk = 'conversation'").fetchall()
    return [json.loads(body) for (body,) in rows]


@pytest.mark.parametrize(
    ("method", "path", "data_of_request", "status"),
    [
        ("POST", CONVERSATIONS, {"UniqueName": "other"}, 201),
        ("POST", CONVERSATIONS, {"UniqueName": "visit"}, 409),
        ("GET", f"{CONVERSATIONS}/visit", None, 200),
        ("GET", CONVERSATIONS, None, 200),
        ("GET", f"{CONVERSATIONS}/unknown", None, 404),
    ],
)
def test_answer_computed_in_open_unit_waits_for_its_commit(
    instance: EmbeddedInstance, data: str, method: str, path: str, data_of_request: dict[str, str] | None, status: int
) -> None:
    async def scenario() -> None:
        async with instance.served(), instance.without_sweeps():
            delay_commits(instance.engine.table)
            created = asyncio.create_task(instance.asked("POST", CONVERSATIONS, {"UniqueName": "visit"}))
            second = asyncio.create_task(instance.asked(method, path, data_of_request))
            await asyncio.sleep(DELAY_SECONDS / 2)
            assert not created.done()
            assert not second.done()
            assert stored_conversations(data) == []
            assert (await second).status == status
            assert "visit" in {each["unique_name"] for each in stored_conversations(data)}
            assert (await created).status == 201

    asyncio.run(scenario())


def test_wait_ends_after_commit_of_state_that_it_returns(instance: EmbeddedInstance, data: str) -> None:
    async def scenario() -> Answer:
        async with instance.served(), instance.without_sweeps():
            delay_commits(instance.engine.table)
            answered = await instance.asked("POST", WITH_PARTICIPANTS, {"Participant": chat(2)}, Prefer="wait=10")
            assert answered.body["state"] == stored_conversations(data)[0]["state"]
            return answered

    assert asyncio.run(scenario()).body["state"] == "active"


def test_wait_does_not_return_state_that_is_dropped(instance: EmbeddedInstance, data: str) -> None:
    """The waiting request sees the uncommitted state `active`. Then the commit fails, and the state is dropped."""

    async def scenario() -> Answer:
        async with instance.served(), instance.without_sweeps():
            table = instance.engine.table
            delay_commits(table)
            waiting = asyncio.create_task(
                instance.asked("POST", WITH_PARTICIPANTS, {"Participant": chat(2)}, Prefer="wait=1")
            )
            while not stored_conversations(data):
                await asyncio.sleep(0.01)
            while not waiting.done():
                if table._unit is not None:
                    table._connection.execute("PRAGMA query_only = ON")  # Make the commit fail.
                await asyncio.sleep(0.01)
            assert [each["state"] for each in stored_conversations(data)] == ["initializing"]
            table._connection.execute("PRAGMA query_only = OFF")
            return await waiting

    assert asyncio.run(scenario()).body["state"] == "initializing"
