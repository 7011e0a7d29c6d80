"""Of several concurrent requests, only one claims a unique value, creates a User or uses an idempotency key.

Asynchronous steps of several conversations share one commit. After a crash, the sweeper completes each step once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Barrier as ThreadBarrier
from typing import Any

import pytest

from convoke.domain import instants
from convoke.domain.events import Event, EventType
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.domain.sids import SidFactory
from convoke.embedded.engine import EmbeddedEdges, EmbeddedEngine
from convoke.operations.ports import EventBus
from convoke.program import Program
from convoke.storage import keys
from convoke.storage.api_key_masters import ApiKeyMasterTable
from convoke.storage.auth_tokens import AuthTokenTable
from convoke.storage.events import change_of
from convoke.storage.sender_secrets import SenderSecretTable
from convoke.storage.table import Table, key_of
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Receivers, Resolve, call, held_instance
from tests.support.tables import ministack_table

REQUESTS = 100

PATH = "/v1/ConversationWithParticipants"

STATE = EventType.CONVERSATION_STATE_UPDATED

CLAIMS: dict[str, tuple[dict[str, Any], int]] = {
    "unique name": ({"UniqueName": "taken", "Participant": chat(2)}, 50353),
    "pair": ({"Participant": CHAT_AND_SMS}, 50425),
    "group": ({"Participant": GROUP_MMS}, 50438),
}
"""Maps each kind of unique value to a form that claims such a value, and to the error code of a refused claim."""

Credentials = tuple[str, str]


def ask(api: Resolve, credentials: Credentials, data: dict[str, Any]) -> tuple[int, int | None]:
    """Send a request that creates a conversation. Return the response's status and error code."""
    answered = call(api, "POST", ORIGIN + PATH, auth=credentials, data=data)
    return answered.status, answered.body.get("code")


def by_threads(api: Resolve, credentials: Credentials, data: dict[str, Any]) -> Counter[tuple[int, int | None]]:
    together = ThreadBarrier(REQUESTS)

    def work(_: int) -> tuple[int, int | None]:
        together.wait()
        return ask(api, credentials, data)

    with ThreadPoolExecutor(REQUESTS) as pool:
        return Counter(pool.map(work, range(REQUESTS)))


def expected(code: int) -> Counter[tuple[int, int | None]]:
    return Counter({(202, None): 1, (409, code): REQUESTS - 1})


@pytest.mark.parametrize("claim", CLAIMS)
def test_concurrent_threads_claim_unique_value_once(claim: str) -> None:
    data, code = CLAIMS[claim]
    with held_instance() as instance:
        credentials = instance.account.sid, instance.token
        assert by_threads(instance.api, credentials, data) == expected(code)
        assert len(instance.items("provisioning")) == 1


_together: Barrier


def _join(barrier: Barrier) -> None:
    global _together
    _together = barrier


def _ask_on_file(file: str, credentials: Credentials, data: dict[str, Any]) -> list[tuple[int, int | None]]:
    engine = EmbeddedEngine(file)
    try:
        _together.wait()
        return [ask(engine.api.resolve, credentials, data) for _ in range(REQUESTS // PROCESSES)]
    finally:
        engine.close()


PROCESSES = 4


@pytest.mark.parametrize("claim", CLAIMS)
def test_concurrent_processes_on_one_data_file_claim_unique_value_once(claim: str, tmp_path: Path) -> None:
    data, code = CLAIMS[claim]
    file = str(tmp_path / "convoke.db")
    with held_instance(file) as instance:
        credentials = instance.account.sid, instance.token
        spawn = get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, spawn, _join, (spawn.Barrier(PROCESSES),)) as pool:
            asked = [pool.submit(_ask_on_file, file, credentials, data) for _ in range(PROCESSES)]
            assert sum((Counter(each.result()) for each in asked), Counter()) == expected(code)
        assert len(instance.items("provisioning")) == 1


FIRST_SIGHTS = 90


def see_at_once(table: Table, api: Resolve, credentials: Credentials) -> tuple[int, int]:
    """Add the same new identity to 90 conversations at the same time.

    Return the number of participants with this identity, and the number of `onUserAdded` events.
    """
    paths = [
        f"{ORIGIN}/v1/Conversations/{call(api, 'POST', ORIGIN + '/v1/Conversations', auth=credentials).body['sid']}"
        for _ in range(FIRST_SIGHTS)
    ]
    together = ThreadBarrier(FIRST_SIGHTS)

    def see(path: str) -> int:
        together.wait()
        return call(api, "POST", f"{path}/Participants", auth=credentials, data={"Identity": "alice"}).status

    with ThreadPoolExecutor(FIRST_SIGHTS) as pool:
        assert Counter(pool.map(see, paths)) == Counter({201: FIRST_SIGHTS})
    (user,) = call(api, "GET", f"{ORIGIN}/v1/Users", auth=credentials).body["users"]
    assert user["identity"] == "alice"
    account_sid, service_sid = user["account_sid"], user["chat_service_sid"]
    partition = keys.membership_partition(account_sid, service_sid, "identity", "alice")
    memberships = table.query(partition, index=keys.MEMBERSHIPS, limit=FIRST_SIGHTS + 1)
    shards = keys.list_shards(account_sid, keys.EVENTS)
    found = [item for shard in shards for item in table.query(shard, index=keys.LISTED, limit=10 * FIRST_SIGHTS)]
    changes = [change_of(table.get(key_of(item)) or {}) for item in found]
    added = [event for change in changes for event in change.events if event.type is EventType.USER_ADDED]
    return len(memberships), len(added)


def test_simultaneous_first_sights_create_one_user() -> None:
    with held_instance() as instance:
        credentials = instance.account.sid, instance.token
        assert see_at_once(instance.table, instance.api, credentials) == (FIRST_SIGHTS, 1)


@pytest.mark.xdist_group("ministack")
def test_simultaneous_first_sights_on_dynamodb_create_one_user(ministack_url: str) -> None:
    with ministack_table(ministack_url) as table, api_on(table) as (api, credentials):
        assert see_at_once(table, api, credentials) == (FIRST_SIGHTS, 1)


class DiscardingQueue:
    """A participant queue that loses every message."""

    def send(self, provisioning: Provisioning) -> None: ...


@contextmanager
def api_on(table: Table) -> Iterator[tuple[Resolve, Credentials]]:
    edges = EmbeddedEdges(
        table=table,
        auth_tokens=AuthTokenTable(table),
        api_key_masters=ApiKeyMasterTable(table),
        sender_secrets=SenderSecretTable(table),
        participant_queue=DiscardingQueue(),
        workflow=NotImplemented,
        event_bus=NotImplemented,
        delivery_queue=NotImplemented,
        copy_queue=NotImplemented,
        carriers={},
        webhook_client=Receivers(),
        media_store=NotImplemented,
        media_client=NotImplemented,
        now=instants.now,
        sleep=time.sleep,
        new_sid=SidFactory(),
        provisioning_retries=ProvisioningRetries(),
    )
    program = Program(edges)
    account = program.accounts.create()
    yield program.api.resolve, (account.sid, program.accounts.token(account.sid))


@pytest.mark.xdist_group("ministack")
@pytest.mark.parametrize("claim", CLAIMS)
def test_concurrent_threads_on_dynamodb_claim_unique_value_once(claim: str, ministack_url: str) -> None:
    """The threads call MiniStack's DynamoDB over HTTP, so that their calls run at the same time."""
    data, code = CLAIMS[claim]
    with ministack_table(ministack_url) as table, api_on(table) as (api, credentials):
        assert by_threads(api, credentials, data) == expected(code)


@pytest.mark.xdist_group("ministack")
def test_concurrent_requests_with_one_idempotency_key_on_dynamodb_create_once(ministack_url: str) -> None:
    data, _ = CLAIMS["unique name"]
    headers = {"Idempotency-Key": "1"}
    with ministack_table(ministack_url) as table, api_on(table) as (api, credentials):
        with ThreadPoolExecutor(REQUESTS) as pool:
            asked = [
                pool.submit(call, api, "POST", ORIGIN + PATH, auth=credentials, data=data, headers=headers)
                for _ in range(REQUESTS)
            ]
        answers = [each.result() for each in asked]
        assert {(answer.status, answer.text) for answer in answers} == {(202, answers[0].text)}
        assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


def test_steps_of_several_conversations_share_one_commit(embedded: EmbeddedInstance) -> None:
    v1, statements = embedded.client().conversations.v1, list[str]()
    created = [v1.conversation_with_participants.create(participant=chat(2)).sid for _ in range(3)]
    table, steps = embedded.engine.table, embedded.engine.steps
    table._connection.set_trace_callback(statements.append)
    with table.unit():
        steps.run(until=float("inf"))
    table._connection.set_trace_callback(None)
    assert {v1.conversations(sid).fetch().state for sid in created} == {"active"}
    assert [each for each in statements if each.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]


class DyingBus:
    """An event bus that raises KeyboardInterrupt in the second call of `publish`, as if the process ended."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.calls = 0

    def publish(self, events: Sequence[Event]) -> None:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        self._bus.publish(events)


def test_crash_during_steps_rolls_back_and_sweeper_completes_them_once() -> None:
    with held_instance(rewire=lambda edges: replace(edges, event_bus=DyingBus(edges.event_bus))) as instance:
        v1 = instance.client().conversations.v1
        v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=[STATE])
        created = {v1.conversation_with_participants.create(participant=chat(2)).sid for _ in range(2)}
        with pytest.raises(KeyboardInterrupt):
            instance.engine.steps.run_all()
        assert {v1.conversations(sid).fetch().state for sid in created} == {"initializing"}
        assert instance.items("participant#") == []
        assert instance.waiting_messages("delivery") == 0
        instance.sweep(timedelta(hours=1))
        instance.work()
        assert {v1.conversations(sid).fetch().state for sid in created} == {"active"}
        assert [len(v1.conversations(sid).participants.list()) for sid in created] == [2, 2]
        delivered = [delivery.event.payload["ConversationSid"] for delivery in instance.receivers.posted]
        assert sorted(delivered) == sorted(created)
