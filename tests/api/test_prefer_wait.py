"""`Prefer: wait=N` delays the response until the conversation has left `initializing`, for at most N seconds.

RFC 7240 defines this header. Convoke waits at most 20 seconds.

See docs/behaviour/conversation-with-participants.md#waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.embedded.engine import EmbeddedEdges
from convoke.embedded.gateway import RequestContext
from convoke.operations.ports import ParticipantQueue
from convoke.storage.table import Item, Key, Write
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import Answer, EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.processes import TIMEOUT_SECONDS

PATH = "/v1/ConversationWithParticipants"

WAITING = 300
"""The number of concurrent requests. The server has fewer threads (MAX_REQUESTS_ON_THREADS in request_runner.py)."""


def create(instance: Instance, prefer: str, **headers: str) -> Answer:
    return instance.call("POST", PATH, {"Participant": CHAT_AND_SMS}, {"Prefer": prefer, **headers})


def after(pauses: int, then: Callable[[], object], clock: ManualClock) -> None:
    """Make the clock call `then` once, at the end of call number `pauses` of `sleep`. The first call is number 1."""

    def on_sleep() -> None:
        if len(clock.pauses) == pauses:
            then()

    clock.on_sleep = on_sleep


def test_request_without_prefer_is_answered_at_once(clocked: Instance, clock: ManualClock) -> None:
    answered = clocked.call("POST", PATH, {"Participant": CHAT_AND_SMS})
    assert (answered.status, answered.body["state"]) == (202, "initializing")
    assert "Preference-Applied" not in answered.headers
    assert clock.pauses == []


@pytest.mark.each_engine
def test_prefer_wait_returns_when_participants_are_added(clocked: Instance, clock: ManualClock) -> None:
    after(3, clocked.work, clock)
    answered = create(clocked, "wait=10")
    assert (answered.status, answered.body["state"]) == (202, "active")
    assert answered.headers["Preference-Applied"] == "wait=10"
    assert clock.pauses == [0.02, 0.04, 0.08]
    fetched = clocked.call("GET", f"/v1/Conversations/{answered.body['sid']}").body
    assert {**fetched, "links": answered.body["links"]} == answered.body


def test_deletion_ends_the_wait(clocked: Instance, clock: ManualClock) -> None:
    def delete() -> None:
        (stored,) = clocked.items("conversation")
        assert clocked.call("DELETE", f"/v1/Conversations/{stored['sid']}").status == 204

    after(2, delete, clock)
    answered = create(clocked, "wait=10")
    assert (answered.status, answered.body["state"]) == (202, "initializing")
    assert len(clock.pauses) == 2


@pytest.mark.each_engine
def test_wait_ends_after_requested_seconds(clocked: Instance, clock: ManualClock) -> None:
    begun = clock.present
    answered = create(clocked, "respond-async, wait=3")
    assert (answered.status, answered.body["state"]) == (202, "initializing")
    assert answered.headers["Preference-Applied"] == "wait=3"
    assert clock.present - begun == timedelta(seconds=3)


def test_wait_is_limited_to_20_seconds_and_16_reads(clocked: Instance, clock: ManualClock) -> None:
    begun = clock.present
    assert create(clocked, "wait=3600").headers["Preference-Applied"] == "wait=20"
    assert clock.present - begun == timedelta(seconds=20)
    assert len(clock.pauses) == 16
    assert max(clock.pauses) == 2


@pytest.mark.parametrize("prefer", ["", "wait", "wait=soon", "wait=-1", "wait=1.5", "handling=lenient"])
def test_malformed_or_unknown_preference_is_ignored(clocked: Instance, clock: ManualClock, prefer: str) -> None:
    answered = create(clocked, prefer)
    assert (answered.status, answered.headers.get("Preference-Applied")) == (202, None)
    assert clock.pauses == []


def test_wait_returns_closed_when_participants_cannot_be_added(clock: ManualClock) -> None:
    def refuse(provisioning: Provisioning, participant: Participant) -> None:
        raise InvalidRoleSidError

    with held_instance(now=clock.now, sleep=clock.sleep, admit=refuse) as instance:
        after(1, instance.work, clock)
        answered = create(instance, "wait=10")
        assert (answered.status, answered.body["state"]) == (202, "closed")


def test_conversation_without_participants_does_not_wait(clocked: Instance, clock: ManualClock) -> None:
    answered = clocked.call("POST", PATH, {}, {"Prefer": "wait=10"})
    assert (answered.status, answered.headers.get("Preference-Applied")) == (201, None)
    assert clock.pauses == []


def test_repeated_request_does_not_wait(clocked: Instance, clock: ManualClock) -> None:
    key = {"Idempotency-Key": "1"}
    after(1, clocked.work, clock)
    assert create(clocked, "wait=10", **key).body["state"] == "active"
    again = create(clocked, "wait=10", **key)
    assert (again.status, again.body["state"]) == (202, "initializing")
    assert (again.headers.get("Preference-Applied"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert clock.pauses == [0.02]


class UnreadableTable:
    """A table whose `get` fails for conversations."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def get(self, key: Key) -> Item | None:
        if key.sk == "conversation":
            raise OSError("the disk is gone")
        item: Item | None = self._table.get(key)
        return item


def test_read_failure_returns_conversation_as_created(clock: ManualClock) -> None:
    with held_instance(
        rewire=lambda edges: replace(edges, table=UnreadableTable(edges.table)), now=clock.now, sleep=clock.sleep
    ) as instance:
        answered = create(instance, "wait=10")
        assert (answered.status, answered.body["state"]) == (202, "initializing")
        assert len(instance.items("conversation")) == 1
        assert len(clock.pauses) == 1


@pytest.mark.parametrize(("seconds_left", "applied"), [(26, "wait=20"), (12, "wait=7"), (5.5, None), (0, None)])
def test_wait_ends_before_api_timeout(clock: ManualClock, seconds_left: float, applied: str | None) -> None:
    with held_instance(now=clock.now, sleep=clock.sleep) as instance:
        limited = instance.api

        def api(event: dict[str, Any], _: object) -> dict[str, Any]:
            return limited(event, RequestContext(int(seconds_left * 1000)))

        instance.api = api
        answered = create(instance, "wait=20")
        assert (answered.status, answered.headers.get("Preference-Applied")) == (202, applied)


class ShrinkingContext(RequestContext):
    """A Lambda context whose remaining time decreases when `clock` moves."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._end = clock.present + timedelta(seconds=seconds)

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - self._clock.present) / timedelta(milliseconds=1))


@dataclass(frozen=True)
class SlowTable:
    """A table that moves `clock` forward by `seconds` after every transaction."""

    table: Any
    clock: ManualClock
    seconds: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def transact(self, writes: Sequence[Write]) -> None:
        self.table.transact(writes)
        self.clock.move(timedelta(seconds=self.seconds))


@pytest.mark.parametrize(("writing", "applied"), [(8, "wait=13"), (20, "wait=1"), (20.001, None), (22, None)])
def test_time_spent_on_creating_is_not_waited_again(clock: ManualClock, writing: float, applied: str | None) -> None:
    with held_instance(
        rewire=lambda edges: replace(edges, table=SlowTable(edges.table, clock, writing)),
        now=clock.now,
        sleep=clock.sleep,
    ) as instance:
        limited, context = instance.api, ShrinkingContext(clock, seconds=26)
        instance.api = lambda event, _: limited(event, context)
        answered = create(instance, "wait=20")
        assert (answered.status, answered.headers.get("Preference-Applied")) == (202, applied)
        assert context.get_remaining_time_in_millis() >= min(26 - writing, 5) * 1000


class HoldingQueue:
    """A participant queue that keeps its messages until a test calls `release`."""

    def __init__(self, queue: ParticipantQueue) -> None:
        self._queue = queue
        self._held: list[Provisioning] = []

    def send(self, provisioning: Provisioning) -> None:
        self._held.append(provisioning)

    def release(self) -> None:
        for provisioning in self._held:
            self._queue.send(provisioning)


def hold_participants(edges: EmbeddedEdges) -> EmbeddedEdges:
    return replace(edges, participant_queue=HoldingQueue(edges.participant_queue))


def test_waiting_requests_do_not_block_other_requests() -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            waiting = [
                asyncio.create_task(instance.asked("POST", PATH, {"Participant": chat(1)}, Prefer="wait=20"))
                for _ in range(WAITING)
            ]
            while len(instance.items("conversation")) < len(waiting):
                await asyncio.sleep(0.01)
            for _ in range(20):
                assert (await instance.asked("GET", "/v1/Services")).status == 200
            assert not any(task.done() for task in waiting)
            queue = instance.engine.edges.participant_queue
            assert isinstance(queue, HoldingQueue)
            queue.release()
            for answered in await asyncio.gather(*waiting):
                assert (answered.status, answered.body["state"]) == (202, "active")
                assert answered.headers["Preference-Applied"] == "wait=20"

    with held_instance(rewire=hold_participants) as instance:
        asyncio.run(scenario(instance))


def test_shutdown_ends_waiting_requests() -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            waiting = asyncio.create_task(instance.asked("POST", PATH, {"Participant": chat(1)}, Prefer="wait=20"))
            while not instance.items("conversation"):
                await asyncio.sleep(0.01)
            assert instance.gateway is not None
            instance.gateway.begin_stop()
            answered = await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
            assert (answered.headers["Preference-Applied"], answered.body["state"]) == ("wait=20", "initializing")

    with held_instance(rewire=hold_participants) as instance:
        asyncio.run(scenario(instance))
