"""Tests in any language can control an instance with HTTP requests (embedded/controls_api.py)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from convoke.domain import instants
from convoke.testing.instance import RunningInstance, running
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, call, held_instance
from tests.support.openapi_checks import check_against_openapi
from tests.support.processes import hanging_receiver


@pytest.fixture(scope="module")
def session() -> Iterator[RunningInstance]:
    with running() as instance:
        yield instance


@pytest.fixture
def instance(session: RunningInstance) -> Iterator[RunningInstance]:
    yield session
    session.reset()


def control(
    instance: RunningInstance, path: str, data: Any = None, *, method: str = "POST", client: Client | None = None
) -> tuple[int, Any]:
    """Call a test control. Return the response's status and body."""
    client = client or instance.client()
    headers = {"Content-Type": "application/json"} if isinstance(data, str) else None
    path = f"/convoke/v1/{path}"
    sent = json.loads(data) if isinstance(data, str) else data
    response = client.request(method, instance.url + path, data=sent, headers=headers, auth=client.auth)
    check_against_openapi(method, path, response.status_code, response.text)
    return response.status_code, json.loads(response.text or "null")


def other_client(instance: RunningInstance) -> Client:
    status, account = control(instance, "Accounts")
    assert status == 201
    client = Client(account["sid"], account["auth_token"])
    client.conversations.base_url = instance.url
    return client


@pytest.mark.parametrize("path", ["Reset", "Accounts", "Settle", "Failures", "Clock"])
def test_without_the_option_each_control_is_a_404_that_names_it(path: str) -> None:
    with held_instance() as instance:
        refused = instance.call("POST", f"/convoke/v1/{path}")
        option = "--test-clock or --test-controls" if path == "Clock" else "--test-controls"
        assert (refused.status, refused.body["code"]) == (404, 20404)
        assert refused.body["message"].endswith(f"start `convoke up` with {option}")
        assert call(instance.api, "POST", f"{ORIGIN}/convoke/v1/{path}").status == 401


def test_reset_keeps_only_the_first_account_and_its_token(instance: RunningInstance) -> None:
    other = other_client(instance)
    v1 = instance.client().conversations.v1
    v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    other.conversations.v1.conversations.create()
    assert control(instance, "Clock", {"Advance": "P1D"})[0] == 200
    assert control(instance, "Reset") == (204, None)
    assert v1.conversations.list() == []
    with pytest.raises(TwilioException, match="HTTP 401"):
        other.conversations.v1.conversations.list()
    now = datetime.fromisoformat(control(instance, "Clock", method="GET")[1]["now"])
    assert abs((now - instants.now()).total_seconds()) < 600


def test_reset_drops_the_work_under_way_at_once(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    with hanging_receiver() as (url, called):
        v1.configuration.webhooks().update(
            pre_webhook_url=url, post_webhook_url=url, filters=["onConversationAdded", "onMessageAdd"]
        )
        sid = v1.conversations.create(x_twilio_webhook_enabled="true").sid
        assert called.get(timeout=10) == "onConversationAdded"
        with ThreadPoolExecutor(1) as pool:
            create = v1.conversations(sid).messages.create
            waiting = pool.submit(create, body="x", x_twilio_webhook_enabled="true")
            assert called.get(timeout=10) == "onMessageAdd"
            begun = time.monotonic()
            instance.reset()
            assert time.monotonic() - begun < 3
            assert isinstance(waiting.exception(10), TwilioRestException)
    assert v1.conversations.list() == []
    instance.settle()
    assert instance.received_webhooks == []


def test_requests_during_resets_are_answered(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    with ThreadPoolExecutor(4) as pool:
        answered = [pool.submit(v1.conversations.create) for _ in range(40)]
        for _ in range(5):
            assert control(instance, "Reset")[0] == 204
        refused = [error for each in answered if (error := each.exception(30))]
    assert all(isinstance(error, TwilioRestException) and error.status == 503 for error in refused)
    assert control(instance, "Reset")[0] == 204
    assert v1.conversations.list() == []


def test_each_account_is_separate_and_has_its_own_failures(instance: RunningInstance) -> None:
    other = other_client(instance)
    assert control(instance, "Failures", {"Participant": 0, "Code": 50407}, client=other)[0] == 201
    mine = instance.client().conversations.v1
    theirs = other.conversations.v1
    first = mine.conversation_with_participants.create(participant=chat(1)).sid
    second = theirs.conversation_with_participants.create(participant=chat(1)).sid
    instance.settle()
    assert mine.conversations(first).fetch().state == "active"
    assert theirs.conversations(second).fetch().state == "closed"
    assert [each.sid for each in theirs.conversations.list()] == [second]


def test_settle_waits_for_participants_and_webhooks(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=chat(2)).sid
    assert control(instance, "Settle") == (200, {"settled": True})
    assert v1.conversations(sid).fetch().state == "active"
    assert [each.event_type for each in instance.received_webhooks] == ["onConversationStateUpdated"]


def test_settle_waits_at_most_its_timeout_and_other_requests_are_answered(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    with hanging_receiver() as (url, called), ThreadPoolExecutor(1) as pool:
        v1.configuration.webhooks().update(post_webhook_url=url, filters=["onConversationAdded"])
        v1.conversations.create(x_twilio_webhook_enabled="true")
        assert called.get(timeout=10)
        settled = pool.submit(control, instance, "Settle", {"Timeout": "PT2S"})
        assert len(v1.conversations.list()) == 1
        assert not settled.done()
        assert settled.result() == (200, {"settled": False})


def test_held_conversation_stays_initializing_and_does_not_count_until_it_is_released(
    instance: RunningInstance,
) -> None:
    v1 = instance.client().conversations.v1
    assert control(instance, "Failures", '{"hold": true}')[1]["hold"] is True
    held = v1.conversation_with_participants.create(participant=chat(1)).sid
    other = v1.conversation_with_participants.create(participant=chat(1)).sid
    assert control(instance, "Settle") == (200, {"settled": True})
    # Within a day, the sweeper activates or closes every initializing conversation, except a held conversation.
    instance.advance("P1D")
    assert [v1.conversations(sid).fetch().state for sid in (held, other)] == ["initializing", "active"]
    assert control(instance, "Failures", method="DELETE") == (204, None)
    instance.settle()
    assert v1.conversations(held).fetch().state == "active"


def test_cancelled_failures_do_not_happen(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    control(instance, "Failures", {"Participant": 0, "Code": 50407})
    control(instance, "Failures", {"Hold": "true"})
    control(instance, "Failures", method="DELETE")
    sid = v1.conversation_with_participants.create(participant=chat(1)).sid
    instance.settle()
    assert v1.conversations(sid).fetch().state == "active"


@pytest.mark.parametrize(
    ("path", "data", "parameter"),
    [
        ("Failures", {}, "Participant"),
        ("Failures", {"Participant": "-1", "Code": 50407}, "Participant"),
        ("Failures", {"Participant": "9" * 5000, "Code": 50407}, "Participant"),
        ("Failures", {"Participant": 0, "Code": 99999}, "Code"),
        ("Failures", {"Hold": "perhaps"}, "Hold"),
        ("Settle", {"Timeout": "10"}, "Timeout"),
    ],
)
def test_invalid_parameters_are_refused(
    instance: RunningInstance, path: str, data: dict[str, object], parameter: str
) -> None:
    status, body = control(instance, path, data)
    assert (status, body["code"], body["details"]["parameter"]) == (400, 20001, parameter)
