"""The embedded engine keeps working if the wall clock of the machine is set back."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from convoke.embedded import engine
from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.waiting import TIMEOUT_SECONDS

CONVERSATIONS = "/v1/Conversations"
STEP_BACK = timedelta(hours=2)


def test_postponed_work_continues_and_calls_under_way_are_not_repeated(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the clock is set back, one delivery is running and another delivery is postponed.

    The participant queue has lost its message. Therefore the sweeper must add the participants.
    """
    monkeypatch.setattr(engine, "SWEEP_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(engine, "DELIVERY_POLL_SECONDS", 0.01)
    difference = [0.0]
    monkeypatch.setattr(engine, "_clock_difference", lambda: difference[0])
    called, may_answer = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        called.release()
        assert may_answer.wait(TIMEOUT_SECONDS)

    async def posts(instance: EmbeddedInstance, count: int) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(instance.receivers.posted) < count:
                await asyncio.sleep(0.005)

    async def scenario(instance: EmbeddedInstance) -> None:
        header = {"X-Twilio-Webhook-Enabled": "true"}
        async with instance.served():
            form = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationAdded"}
            await instance.asked("POST", "/v1/Configuration/Webhooks", form)
            instance.receivers.statuses = [503]
            await instance.asked("POST", CONVERSATIONS, **header)
            await posts(instance, 1)
            while instance.engine._concurrent_deliveries.under_way:  # type: ignore[union-attr]
                await asyncio.sleep(0.005)
            instance.receivers.on_call = hold
            await instance.asked("POST", CONVERSATIONS, **header)
            await asyncio.to_thread(called.acquire)
            created = await instance.asked("POST", "/v1/ConversationWithParticipants", {"Participant": chat(2)})
            instance.lose_messages()
            async with instance.without_sweeps():
                clock.move(-STEP_BACK)
                # After the step back, the due time of the postponed delivery is further away than the longest possible
                # pause. Therefore the engine makes the delivery immediately.
                await asyncio.to_thread(called.acquire)
                difference[0] = -STEP_BACK.total_seconds()
            async with asyncio.timeout(TIMEOUT_SECONDS):
                path = f"{CONVERSATIONS}/{created.body['sid']}"
                while (await instance.asked("GET", path)).body["state"] != "active":
                    await asyncio.sleep(0.005)
            assert not called.acquire(blocking=False), "a call under way was repeated"
            may_answer.set()
            await posts(instance, 3)
            while not instance.engine.queue.is_empty():
                await asyncio.sleep(0.005)
            assert sorted(instance.receivers.retry_counts) == [0, 0, 1]

    with held_instance(now=clock.now, sleep=clock.sleep) as instance:
        asyncio.run(asyncio.wait_for(scenario(instance), 4 * TIMEOUT_SECONDS))
