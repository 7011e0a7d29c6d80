"""No request blocks the thread on which the embedded engine's event loop runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from convoke.embedded.clock import MovableClock
from convoke.embedded.suspension import RunAgainError
from convoke.storage.table import Write
from tests.support.blocking import BlockingGuard
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.waiting import TIMEOUT_SECONDS

CONVERSATIONS = "/v1/Conversations"
CLOCK = "/convoke/v1/Clock"
HEADER = {"X-Twilio-Webhook-Enabled": "true"}


def configure_pre_events(instance: EmbeddedInstance) -> None:
    form = {"PreWebhookUrl": "https://hooks.example.com/", "Filters": ["onConversationAdd", "onConversationUpdate"]}
    assert instance.call("POST", "/v1/Configuration/Webhooks", form).status == 200


def test_waiting_pre_event_does_not_block_other_requests() -> None:
    called, may_answer = threading.Event(), threading.Event()

    def hold() -> None:
        called.set()
        assert may_answer.wait(TIMEOUT_SECONDS)

    async def scenario(instance: EmbeddedInstance) -> None:
        instance.receivers.on_call = hold
        async with instance.served():
            created = asyncio.create_task(instance.asked("POST", CONVERSATIONS, **HEADER))
            assert await asyncio.to_thread(called.wait, TIMEOUT_SECONDS)
            for path in (CONVERSATIONS, "/v1/Services"):
                answered = await asyncio.wait_for(instance.asked("GET", path), TIMEOUT_SECONDS)
                assert answered.status == 200
            assert (await instance.asked("POST", CONVERSATIONS)).status == 201
            assert not created.done()
            may_answer.set()
            assert (await asyncio.wait_for(created, TIMEOUT_SECONDS)).status == 201

    with held_instance() as instance:
        configure_pre_events(instance)
        asyncio.run(scenario(instance))


def test_pre_events_do_not_sleep_on_event_loop() -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        instance.receivers.on_call = lambda: time.sleep(0.01)
        async with instance.served():
            created = await asyncio.gather(*(instance.asked("POST", CONVERSATIONS, **HEADER) for _ in range(10)))
            assert {answered.status for answered in created} == {201}
            # These requests conflict, because each request updates the same conversation.
            path = f"{CONVERSATIONS}/{created[0].body['sid']}"
            updates = [
                instance.asked("POST", path, {"Attributes": f'{{"n": {n}}}'}, **(HEADER if n % 2 else {}))
                for n in range(10)
            ]
            assert {answered.status for answered in await asyncio.gather(*updates)} == {200}

    with held_instance() as instance:
        configure_pre_events(instance)
        asyncio.run(scenario(instance))


@dataclass
class InterruptedTable:
    """A table that calls one function of `meanwhile` before each transaction, as long as functions are left.

    Each function writes to the table, as another process could. The last function runs first.
    """

    table: Any
    meanwhile: list[Callable[[], object]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def transact(self, writes: Sequence[Write]) -> None:
        if self.meanwhile:
            if self.table._unit is not None:
                # The other process cannot write while the open unit of work holds the write lock. Therefore run the
                # request again in a later tick.
                raise RunAgainError
            self.meanwhile.pop()()
        self.table.transact(writes)


def test_lost_optimistic_lock_does_not_sleep_on_event_loop(tmp_path: Path) -> None:
    data, meanwhile = str(tmp_path / "convoke.db"), list[Callable[[], object]]()

    async def scenario(instance: EmbeddedInstance, other: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            sid = (await instance.asked("POST", CONVERSATIONS)).body["sid"]
            path = f"{CONVERSATIONS}/{sid}"
            meanwhile.extend(
                lambda n=n: other.call("POST", path, {"Attributes": f'{{"n": {n}}}'})  # type: ignore[misc]
                for n in range(3)
            )
            answered = await instance.asked("POST", path, {"FriendlyName": "Visit"})
            assert (answered.status, answered.body["friendly_name"]) == (200, "Visit")
            assert answered.body["attributes"] == '{"n": 0}'
            assert meanwhile == []

    with (
        held_instance(data, lambda edges: replace(edges, table=InterruptedTable(edges.table, meanwhile))) as instance,
        held_instance(data) as other,
    ):
        asyncio.run(scenario(instance, other))


def test_moving_clock_does_not_sleep_on_event_loop() -> None:
    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            form = {"Participant": chat(2), "Timers.Inactive": "PT1M"}
            sids = [
                (await instance.asked("POST", "/v1/ConversationWithParticipants", form)).body["sid"] for _ in range(3)
            ]
            assert (await instance.asked("POST", CLOCK, {"Advance": "PT5M"})).status == 200
            for sid in sids:
                assert (await instance.asked("GET", f"{CONVERSATIONS}/{sid}")).body["state"] == "inactive"

    with held_instance(movable_clock=MovableClock()) as instance:
        asyncio.run(scenario(instance))


@pytest.mark.parametrize("code", ["time.sleep(0)", "threading.Event().wait(0.001)", "instance.engine._sweep()"])
def test_product_that_blocks_event_loop_is_noticed(code: str) -> None:
    """Test the guard, which makes a test fail if Convoke blocks the event loop.

    `_sweep` blocks here, because `without_sweeps` holds the lock that `_sweep` needs.
    """
    guard = BlockingGuard()

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served(), instance.without_sweeps():
            # The guard recognizes Convoke's code by the module name.
            module = {"__name__": "convoke.blocking", "instance": instance, "threading": threading, "time": time}
            with pytest.raises(AssertionError, match="on the event loop's thread"):
                exec(code, module)

    with pytest.MonkeyPatch.context() as monkeypatch:
        guard.install(monkeypatch)
        with held_instance() as instance:
            asyncio.run(scenario(instance))
    assert len(guard.violations) == 1
