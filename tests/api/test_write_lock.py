"""While another process holds the data file's write lock, writes wait for the lock, but reads continue."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from tests.api.test_prefer_wait import HoldingQueue, hold_participants
from tests.support.busy import make_busy
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance

CONVERSATIONS = "/v1/Conversations"

LOCK_TIMEOUT_SECONDS = 0.4
"""The maximum wait for the write lock in some tests. The default is five seconds."""

HELD_SECONDS = 0.1


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db")


@contextmanager
def held_write_lock(data: str) -> Iterator[sqlite3.Connection]:
    """Hold the data file's write lock until the `with` block ends, or until the caller ends the transaction."""
    with closing(sqlite3.connect(data, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@asynccontextmanager
async def write_lock(data: str) -> AsyncIterator[sqlite3.Connection]:
    """Take the write lock in a thread.

    The engine can hold the lock until its next commit. If the event loop waited for the lock, the engine could not
    commit.
    """
    held = held_write_lock(data)
    connection = await asyncio.to_thread(held.__enter__)
    with ExitStack() as stack:
        stack.push(held)
        yield connection


def test_write_is_refused_when_lock_is_not_released_in_time(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            sid = (await instance.asked("POST", CONVERSATIONS)).body["sid"]
            async with write_lock(data):
                begun = time.monotonic()
                refused = await instance.asked("POST", CONVERSATIONS)
                assert LOCK_TIMEOUT_SECONDS <= time.monotonic() - begun < 4 * LOCK_TIMEOUT_SECONDS
                deleted = await instance.asked("DELETE", f"{CONVERSATIONS}/{sid}")
            for answered in (refused, deleted):
                assert (answered.status, answered.body["code"]) == (503, 20503)
            assert [each["sid"] for each in instance.items("conversation")] == [sid]
            assert (await instance.asked("DELETE", f"{CONVERSATIONS}/{sid}")).status == 204

    with held_instance(data, lock_timeout=LOCK_TIMEOUT_SECONDS) as instance:
        asyncio.run(scenario(instance))


def test_reads_go_on_while_lock_is_held(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            sid = (await instance.asked("POST", CONVERSATIONS)).body["sid"]
            async with write_lock(data):
                waiting = asyncio.create_task(instance.asked("POST", CONVERSATIONS))
                for path in (CONVERSATIONS, f"{CONVERSATIONS}/{sid}", f"{CONVERSATIONS}/{sid}/Participants"):
                    assert (await instance.asked("GET", path)).status == 200
                assert not waiting.done()
            assert (await waiting).status == 201

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_write_succeeds_when_lock_is_released_in_time(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            async with write_lock(data):
                waiting = asyncio.create_task(instance.asked("POST", CONVERSATIONS))
                await asyncio.sleep(HELD_SECONDS)
                assert not waiting.done()
            assert (await waiting).status == 201
            assert len(instance.items("conversation")) == 1

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_write_of_other_process_is_seen_by_write_that_waited(data: str) -> None:
    """The waiting request must not use items that it read before the other process wrote."""

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            sid = (await instance.asked("POST", CONVERSATIONS)).body["sid"]
            async with write_lock(data) as connection:
                update = asyncio.create_task(
                    instance.asked("POST", f"{CONVERSATIONS}/{sid}", {"FriendlyName": "Visit"})
                )
                await asyncio.sleep(HELD_SECONDS)
                connection.execute(
                    "UPDATE items SET body = json_set(body, '$.attributes', ?, '$.revision', 7)"
                    " WHERE sk = 'conversation'",
                    ('{"theirs": 1}',),
                )
                connection.execute("COMMIT")
            answered = await update
            assert (answered.status, answered.body["friendly_name"]) == (200, "Visit")
            assert answered.body["attributes"] == '{"theirs": 1}'

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_steps_wait_for_lock_and_run_after_its_release(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            path = "/v1/ConversationWithParticipants"
            sid = (await instance.asked("POST", path, {"Participant": chat(2)})).body["sid"]
            async with write_lock(data):
                queue = instance.engine.edges.participant_queue
                assert isinstance(queue, HoldingQueue)
                queue.release()
                await asyncio.sleep(HELD_SECONDS)
                assert (await instance.asked("GET", f"{CONVERSATIONS}/{sid}")).body["state"] == "initializing"
            while (await instance.asked("GET", f"{CONVERSATIONS}/{sid}")).body["state"] == "initializing":
                await asyncio.sleep(0.01)
            assert (await instance.asked("GET", f"{CONVERSATIONS}/{sid}")).body["state"] == "active"

    with held_instance(data, hold_participants) as instance:
        asyncio.run(scenario(instance))


def test_thread_waits_for_lock_and_gives_up(data: str) -> None:
    """The test uses the table on a worker thread.

    The sweeper, requests that move the test clock, and requests that call a receiver do the same.
    """

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            async with write_lock(data):
                refused = await asyncio.to_thread(instance.call, "POST", CONVERSATIONS)
            assert (refused.status, refused.body["code"]) == (503, 20503)
            async with write_lock(data) as connection:
                waiting = asyncio.create_task(asyncio.to_thread(instance.call, "POST", CONVERSATIONS))
                await asyncio.sleep(HELD_SECONDS)
                connection.execute("ROLLBACK")
            assert (await waiting).status == 201

    with held_instance(data, lock_timeout=LOCK_TIMEOUT_SECONDS) as instance:
        asyncio.run(scenario(instance))


def test_without_event_loop_calling_thread_waits_for_lock(data: str) -> None:
    with held_instance(data, lock_timeout=LOCK_TIMEOUT_SECONDS) as instance:
        with held_write_lock(data):
            refused = instance.call("POST", CONVERSATIONS)
        assert (refused.status, refused.body["code"]) == (503, 20503)
        assert instance.call("POST", CONVERSATIONS).status == 201


def test_reads_run_again_while_sqlite_is_busy(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            sid = (await instance.asked("POST", CONVERSATIONS)).body["sid"]
            busy = make_busy(instance.engine.table)
            for path in (f"{CONVERSATIONS}/{sid}", CONVERSATIONS):
                busy.failures = 3
                while busy.failures:
                    assert (await instance.asked("GET", path)).status == 200

    with held_instance(data) as instance:
        asyncio.run(scenario(instance))


def test_request_that_prefers_to_wait_survives_a_busy_read(data: str) -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            busy = make_busy(instance.engine.table)
            queue = instance.engine.edges.participant_queue
            assert isinstance(queue, HoldingQueue)
            path = "/v1/ConversationWithParticipants"
            waiting = asyncio.create_task(instance.asked("POST", path, {"Participant": chat(2)}, Prefer="wait=5"))
            while not instance.items("conversation"):
                await asyncio.sleep(0.001)
            busy.failures = 2
            while busy.failures:
                await asyncio.sleep(0.001)
            queue.release()
            assert (await waiting).body["state"] == "active"

    with held_instance(data, hold_participants) as instance:
        asyncio.run(scenario(instance))
