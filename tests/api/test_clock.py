"""Requests can move the clock of `convoke up --test-clock`.

See docs/behaviour/states-and-timers.md#test-clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Event
from typing import Any

import pytest

from convoke.domain import instants
from convoke.domain.circuit_breakers import FAILURES_TO_OPEN
from convoke.embedded.clock import MovableClock
from convoke.embedded.engine import DELIVERY_POLL_SECONDS
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, call, held_instance
from tests.support.waiting import eventually

CLOCK = "/convoke/v1/Clock"
MINUTE = timedelta(minutes=1)
A_MOMENT = timedelta(seconds=30)
"""The tolerance for the comparison of two times. Each test of this module takes less real time than this tolerance."""


@pytest.fixture
def movable() -> Iterator[EmbeddedInstance]:
    with held_instance(movable_clock=MovableClock()) as made:
        yield made


def advance(instance: EmbeddedInstance, by: str) -> Any:
    answered = instance.call("POST", CLOCK, json.dumps({"advance": by}), {"Content-Type": "application/json"})
    assert answered.status == 200, answered.text
    return answered.body


def present(instance: EmbeddedInstance) -> datetime:
    return datetime.fromisoformat(instance.call("GET", CLOCK).body["now"])


def states(instance: Instance) -> list[tuple[str, str, str]]:
    """Return the state changes that timers caused, sorted by time.

    Each entry has the time, the conversation SID and the new state.
    """
    events = [event for change in instance.changes() for event in change["events"]]
    payloads = [event["payload"] for event in events if event["payload"].get("Reason") == "TIMER"]
    return sorted((payload["StateUpdated"], payload["ConversationSid"], payload["StateTo"]) for payload in payloads)


def stored(instance: Instance) -> dict[str, dict[str, Any]]:
    return {conversation["sid"]: conversation for conversation in instance.items("conversation")}


def test_timers_fire_to_the_millisecond_when_time_is_moved(movable: EmbeddedInstance) -> None:
    sid = movable.client().conversations.v1.conversations.create(timers_inactive="PT1M", timers_closed="PT10M").sid
    ends = stored(movable)[sid]
    assert advance(movable, "P1D")["conversations"] == 2
    assert states(movable) == [(ends["date_inactive"], sid, "inactive"), (ends["date_closed"], sid, "closed")]
    assert stored(movable)[sid]["date_updated"] == ends["date_closed"]


def test_due_conversations_change_state_in_order_of_their_timers(movable: EmbeddedInstance) -> None:
    create = movable.client().conversations.v1.conversations.create
    lengths = {create(timers_inactive=f"PT{minutes}M").sid: minutes for minutes in (5, 1, 30, 2, 61)}
    ends = {sid: conversation["date_inactive"] for sid, conversation in stored(movable).items()}
    assert advance(movable, "PT1H")["conversations"] == 4
    due = sorted((ends[sid], sid, "inactive") for sid, minutes in lengths.items() if minutes < 60)
    assert states(movable) == due
    published = [change["events"][0]["occurred_at"] for change in movable.changes()]
    assert published == sorted(published)


def test_clock_response_has_current_time_and_number_of_sweeps(movable: EmbeddedInstance) -> None:
    assert abs(present(movable) - instants.now()) < A_MOMENT
    movable.client().conversations.v1.conversations.create(timers_closed="PT10M")
    done = advance(movable, "PT15M")
    assert done == {
        "now": done["now"],
        "url": f"{ORIGIN}{CLOCK}",
        "advanced": "PT15M",
        "sweeps": 2,
        "conversations": 1,
    }
    assert timedelta(0) <= present(movable) - datetime.fromisoformat(done["now"]) < A_MOMENT
    assert abs(present(movable) - instants.now() - 15 * MINUTE) < A_MOMENT
    again = datetime.fromisoformat(advance(movable, "PT0.0019S")["now"])
    assert again.microsecond % 1000 == 0
    created = movable.client().conversations.v1.conversations.create().date_created
    assert timedelta(0) <= created - instants.now() - 14 * MINUTE < 2 * MINUTE


def test_clock_accepts_form_body(movable: EmbeddedInstance) -> None:
    answered = movable.call("POST", CLOCK, {"Advance": "PT10M"})
    assert (answered.status, answered.body["advanced"]) == (200, "PT10M")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", None),
        ("Advance=10", None),
        ("Advance=-PT10M", None),
        ("Advance=P1M", None),
        ("advance=PT10M", None),
        ("{", "application/json"),
        ("[]", "application/json"),
        ("{}", "application/json"),
        ('{"advance": 600}', "application/json"),
        ('{"advance": "ten minutes"}', "application/json; charset=utf-8"),
        ('{"advance": "PT10M"}', "text/plain"),
    ],
)
def test_invalid_advance_is_refused_and_time_stands_still(
    movable: EmbeddedInstance, body: str, content_type: str | None
) -> None:
    refused = movable.call("POST", CLOCK, body, {"Content-Type": content_type} if content_type else None)
    assert (refused.status, refused.body["code"]) == (400, 20001)
    assert abs(present(movable) - instants.now()) < A_MOMENT


def test_advance_past_last_year_is_refused(movable: EmbeddedInstance) -> None:
    def century() -> Answer:
        return movable.call("POST", CLOCK, {"Advance": "P36500D"})

    for _ in range(79):
        assert century().status == 200
    before = present(movable)
    assert (century().status, century().body["code"]) == (400, 20001)
    assert present(movable) - before < A_MOMENT


@pytest.mark.each_engine
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_clock_path_is_not_found_without_test_clock(instance: Instance, method: str) -> None:
    refused = instance.call(method, CLOCK, {"Advance": "PT10M"} if method == "POST" else None)
    assert (refused.status, refused.body["code"]) == (404, 20404)


def test_clock_requires_credentials_and_lists_allowed_methods(movable: EmbeddedInstance) -> None:
    assert call(movable.api, "POST", ORIGIN + CLOCK, data={"Advance": "PT10M"}).status == 401
    assert movable.call("DELETE", CLOCK).headers["Allow"] == "GET, POST"


def test_pending_participants_are_added_before_time_moves(movable: EmbeddedInstance) -> None:
    v1 = movable.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_inactive="PT1M").sid
    advance(movable, "PT2M")
    conversation = stored(movable)[sid]
    assert conversation["state"] == "inactive"
    assert states(movable) == [(conversation["date_inactive"], sid, "inactive")]


def test_provisioning_retries_keep_their_backoff_in_moved_time() -> None:
    moments: list[datetime] = []

    def fail(*_: object) -> None:
        moments.append(clock())
        raise OSError("no connection")

    clock = MovableClock()
    with held_instance(movable_clock=clock, admit=fail) as instance:
        sid = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
        advance(instance, "P1D")
        conversation = stored(instance)[sid]
        assert conversation["state"] == "closed"
        assert [alert["code"] for alert in instance.items("alert")] == [50427]
    # The first pause begins when the conversation is created. Therefore `moments` must begin with the creation date.
    moments[0] = datetime.fromisoformat(conversation["date_created"])
    pauses = [round((later - earlier).total_seconds()) for earlier, later in pairwise(moments)]
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600]


def test_delivery_is_attempted_again_in_moved_time(movable: EmbeddedInstance) -> None:
    v1, webhook = movable.client().conversations.v1, "https://hooks.example.com/"
    v1.configuration.webhooks().update(post_webhook_url=webhook, filters=["onConversationAdded"])
    movable.receivers.statuses = [500, 500, 200]
    v1.conversations.create(x_twilio_webhook_enabled="true")
    attempts = []
    for _ in range(3):
        movable.work()
        attempts.append(len(movable.receivers.posted))
        advance(movable, "PT1M")
    assert attempts == [1, 2, 3]
    assert movable.waiting_messages("delivery") == 0


def test_idempotency_record_expires_in_moved_time(movable: EmbeddedInstance) -> None:
    def created() -> tuple[bool, str]:
        answered = movable.call("POST", "/v1/Conversations", headers={"Idempotency-Key": "1"})
        return "Idempotent-Replayed" in answered.headers, answered.body["sid"]

    _, first = created()
    advance(movable, "PT23H59M")
    assert created() == (True, first)
    assert len(movable.items("idempotency-record")) == 1
    advance(movable, "PT2M")
    assert movable.items("idempotency-record") == []
    again, second = created()
    assert (again, second != first) == (False, True)


def test_failing_conversation_does_not_stop_time(movable: EmbeddedInstance, caplog: pytest.LogCaptureFixture) -> None:
    create = movable.client().conversations.v1.conversations.create
    spoilt, other = create(timers_inactive="PT1M").sid, create(timers_inactive="PT2M").sid
    spoil = "UPDATE items SET body = json_set(body, '$.state', 'x') WHERE pk LIKE ? AND sk = 'conversation'"
    movable.engine.table.write(spoil, (f"%{spoilt}",))
    advance(movable, "PT5M")
    assert [sid for _, sid, _ in states(movable)] == [other]
    assert "a due resource could not be processed" in caplog.text


def test_webhook_call_under_way_is_not_repeated_when_time_moves() -> None:
    may_answer, calls = Event(), list[int]()

    def hold() -> None:
        calls.append(len(calls))
        assert may_answer.wait(5)

    with held_instance(movable_clock=MovableClock()) as instance, instance.served_by_thread():
        v1, webhook = instance.client().conversations.v1, "https://hooks.example.com/"
        v1.configuration.webhooks().update(post_webhook_url=webhook, filters=["onConversationAdded"])
        instance.receivers.on_call = hold
        v1.conversations.create(x_twilio_webhook_enabled="true")
        assert eventually(lambda: len(calls) == 1)
        with ThreadPoolExecutor(1) as pool:
            moved = pool.submit(instance.call, "POST", CLOCK, {"Advance": "PT1H"})
            time.sleep(2 * DELIVERY_POLL_SECONDS)
            assert not moved.done()
            may_answer.set()
            assert moved.result().body["sweeps"] == 1
        assert instance.waiting_messages("delivery") == 0
        assert calls == [0]


def test_retries_of_a_webhook_happen_at_their_moments_while_time_moves() -> None:
    with held_instance(movable_clock=MovableClock()) as instance, instance.served_by_thread():
        v1, webhook = instance.client().conversations.v1, "https://hooks.example.com/"
        v1.configuration.webhooks().update(post_webhook_url=webhook, filters=["onConversationAdded"])
        instance.receivers.statuses = [500] * 4
        v1.conversations.create(x_twilio_webhook_enabled="true")
        assert advance(instance, "PT1M")["sweeps"] >= 4
        attempts = sorted(instance.items("attempt"), key=lambda attempt: attempt["number"])
        starts = [datetime.fromisoformat(attempt["started_at"]) for attempt in attempts]
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
        assert [lower <= pause <= 2 * lower for lower, pause in zip((1, 2, 4), pauses, strict=True)] == [True] * 3
        assert instance.waiting_messages("delivery") == 0


def test_pause_of_a_circuit_breaker_ends_while_time_moves() -> None:
    with held_instance(movable_clock=MovableClock()) as instance, instance.served_by_thread():
        v1, webhook = instance.client().conversations.v1, "https://hooks.example.com/#rc=0"
        v1.configuration.webhooks().update(post_webhook_url=webhook, filters=["onConversationAdded"])
        instance.receivers.statuses = [500] * (FAILURES_TO_OPEN + 3)
        for _ in range(FAILURES_TO_OPEN + 3):
            v1.conversations.create(x_twilio_webhook_enabled="true")
        advance(instance, "PT1H")
        assert instance.waiting_messages("delivery") == 0


class HeldClock(MovableClock):
    """A clock whose `freeze_at` waits up to five seconds for `may_go_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.may_go_on = Event(), Event()

    def freeze_at(self, moment: datetime) -> None:
        self.held.set()
        self.may_go_on.wait(5)
        super().freeze_at(moment)


def test_other_requests_are_answered_while_time_moves() -> None:
    clock = HeldClock()

    async def scenario(instance: EmbeddedInstance) -> None:
        async with instance.served():
            moved = asyncio.create_task(instance.asked("POST", CLOCK, {"Advance": "PT1M"}))
            assert await asyncio.to_thread(clock.held.wait, 5)
            assert (await instance.asked("GET", "/v1/Services")).status == 200
            assert not moved.done()
            clock.may_go_on.set()
            assert (await moved).status == 200

    with held_instance(movable_clock=clock) as instance:
        asyncio.run(scenario(instance))
