"""Tests of the RunningInstance methods that the example project does not use (testing/instance.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from convoke.domain import instants
from convoke.domain.errors import CATALOGUE
from convoke.domain.events import POST_EVENTS
from convoke.embedded.planned_failures import error_of
from convoke.embedded.suspension import RunAgainError
from convoke.testing.instance import RunningInstance, running
from tests.support.examples import CHAT_AND_SMS, chat


@pytest.fixture(scope="module")
def session() -> Iterator[RunningInstance]:
    with running() as instance:
        yield instance


@pytest.fixture
def instance(session: RunningInstance) -> Iterator[RunningInstance]:
    yield session
    session.reset()


def test_fail_participant_closes_the_conversation_and_records_the_codes(instance: RunningInstance) -> None:
    instance.fail_participant(0, 50407)
    instance.fail_participant(2, 50425)
    client = instance.client()
    failed = client.conversations.v1.conversation_with_participants.create(participant=chat(3)).sid
    instance.settle()
    response = client.request("GET", f"{instance.url}/convoke/v1/Conversations/{failed}/Provisioning", auth=client.auth)
    outcome = json.loads(response.text)
    assert [member.get("code") for member in outcome["participants"]] == [50407, None, 50425]
    assert outcome["status"] == "failed"


class LockedTable:
    """A table that can imitate a write lock of another process: `begin` does so while `is_locked` is true."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.is_locked = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def begin(self) -> None:
        if self.is_locked:
            raise RunAgainError
        self._table.begin()


def test_fail_participant_affects_only_the_next_conversation(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    create = v1.conversation_with_participants.create
    # The locked table delays the steps of the first conversation until after `fail_participant`.
    table = LockedTable(instance._engine.table)
    instance._engine.steps.table = table  # type: ignore[assignment]
    first = create(participant=chat(1)).sid
    instance.fail_participant(0, 50407)
    second, third = create(participant=chat(1)).sid, create(participant=chat(1)).sid
    table.is_locked = False
    instance.settle()
    assert [v1.conversations(sid).fetch().state for sid in (first, second, third)] == ["active", "closed", "active"]


def test_fail_participant_with_unknown_code_raises_value_error(instance: RunningInstance) -> None:
    with pytest.raises(ValueError, match="99999"):
        instance.fail_participant(0, 99999)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_error_of_the_catalogue_can_be_created(code: int) -> None:
    assert error_of(CATALOGUE[code]).code == code


def test_wait_for_webhook_names_the_received_webhooks_when_it_fails(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    instance.settle()
    with pytest.raises(AssertionError, match=r"onMessageAdded.*onConversationStateUpdated"):
        instance.wait_for_webhook("onMessageAdded", timeout=0.01)
    with pytest.raises(AssertionError, match="closed"):
        instance.wait_for_webhook("onConversationStateUpdated", timeout=0.01, StateTo="closed")


def test_instance_receives_every_post_event(instance: RunningInstance) -> None:
    assert {"onConversationAdded", "onConversationStateUpdated", "onDeliveryUpdated"} < set(POST_EVENTS)
    assert "onConversationAdd" not in POST_EVENTS
    configured = instance.client().conversations.v1.configuration.webhooks().fetch()
    assert configured.filters == [*POST_EVENTS]


def test_settle_raises_timeout_error_while_work_is_left(instance: RunningInstance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="http://127.0.0.1:9/")
    v1.conversations.create(x_twilio_webhook_enabled="true")
    with pytest.raises(TimeoutError):
        instance.settle(timeout=0.1)


def test_clock_moves_over_http_and_reset_sets_it_back(instance: RunningInstance) -> None:
    def present() -> datetime:
        client = instance.client()
        response = client.request("GET", f"{instance.url}/convoke/v1/Clock", auth=client.auth)
        return datetime.fromisoformat(json.loads(response.text)["now"])

    client = instance.client()
    client.request("POST", f"{instance.url}/convoke/v1/Clock", data={"Advance": "PT1H"}, auth=client.auth)
    assert (present() - instants.now()).total_seconds() > 3000
    instance.reset()
    assert abs((present() - instants.now()).total_seconds()) < 600
