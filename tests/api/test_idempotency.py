"""If a client repeats the creation of a conversation with the same `Idempotency-Key`, Convoke repeats the response.

Convoke creates no second conversation. A different request with the same key is refused. A key is valid for 24 hours. A
refused request does not use up its key.

See docs/behaviour/requests-and-answers.md#idempotency-keys.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import Answer, Instance, call, held_instance
from tests.support.manual_clock import ManualClock

PATH = "/v1/ConversationWithParticipants"
KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
REQUEST = {"UniqueName": "visit", "Participant": CHAT_AND_SMS}


def create(instance: Instance, data: object = REQUEST, headers: dict[str, str] = KEY, path: str = PATH) -> Answer:
    return instance.call("POST", path, data, headers)  # type: ignore[arg-type]


def assert_refused(refused: Answer, status: int, code: int) -> None:
    assert (refused.status, refused.body["code"]) == (status, code)
    assert refused.body["status"] == status
    assert refused.body["details"]["parameter"] == "Idempotency-Key"


@pytest.mark.each_engine
def test_repeated_request_gets_same_response_and_is_executed_once(instance: Instance) -> None:
    first = create(instance)
    assert first.status == 202
    assert "Idempotent-Replayed" not in first.headers
    stored = instance.items("")
    for _ in range(2):
        again = create(instance)
        assert (again.status, again.text) == (first.status, first.text)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert instance.items("") == stored


@pytest.mark.each_engine
def test_repeated_group_and_empty_conversation_get_same_response(instance: Instance) -> None:
    for number, (data, status) in enumerate([({"Participant": GROUP_MMS}, 202), ({"State": "inactive"}, 201)]):
        headers = {"Idempotency-Key": str(number)}
        first, again = create(instance, data, headers), create(instance, data, headers)
        assert (again.status, again.text) == (first.status, first.text)
        assert (again.status, again.headers["Idempotent-Replayed"]) == (status, "true")


@pytest.mark.each_engine
def test_repeated_response_ignores_later_changes(instance: Instance) -> None:
    data = {**REQUEST, "Timers.Inactive": "PT1M", "Attributes": '{ "a": 1 }', "Bindings.Email.Name": "Visits"}
    first = create(instance, data)
    instance.work()
    assert instance.client().conversations.v1.conversations("visit").fetch().state == "active"
    again = create(instance, data)
    assert (again.status, again.text) == (202, first.text)
    assert again.body["state"] == "initializing"


def test_repeated_response_links_use_host_of_current_request(instance: Instance) -> None:
    auth = (instance.account.sid, instance.token)
    create(instance)
    again = call(instance.api, "POST", f"https://other.example{PATH}", auth=auth, data=REQUEST, headers=KEY)
    url = f"https://other.example/v1/Conversations/{again.body['sid']}"
    assert (again.body["url"], again.body["links"]["messages"]) == (url, f"{url}/Messages")


@pytest.mark.each_engine
def test_different_request_with_same_key_is_refused(instance: Instance) -> None:
    sid = create(instance).body["sid"]
    in_service = f"/v1/Services/{instance.account.default_chat_service_sid}/ConversationWithParticipants"
    stored = instance.items("")
    for refused in (create(instance, {"Participant": chat(1)}), create(instance, path=in_service)):
        assert_refused(refused, 422, 20422)
        assert refused.body["details"]["conflicting_conversation_sid"] == sid
    assert instance.items("") == stored


@pytest.mark.each_engine
def test_repeated_request_in_service_gets_same_response(instance: Instance) -> None:
    service = instance.client().conversations.v1.services.create(friendly_name="Support")
    path = f"/v1/Services/{service.sid}/ConversationWithParticipants"
    first, again = create(instance, path=path), create(instance, path=path)
    assert (again.text, again.headers.get("Idempotent-Replayed")) == (first.text, "true")


@pytest.mark.each_engine
def test_repeated_conversation_create_gets_same_response(instance: Instance) -> None:
    path, data = "/v1/Conversations", {"UniqueName": "visit"}
    first, again = create(instance, data, path=path), create(instance, data, path=path)
    assert (first.status, again.status, again.text) == (201, 201, first.text)
    assert_refused(create(instance, data), 422, 20422)


@pytest.mark.each_engine
def test_different_key_makes_a_new_request(instance: Instance) -> None:
    create(instance)
    refused = create(instance, headers={"Idempotency-Key": "another"})
    assert (refused.status, refused.body["code"]) == (409, 50353)


@pytest.mark.each_engine
def test_refused_request_leaves_its_key_unused(instance: Instance) -> None:
    held = instance.client().conversations.v1.conversation_with_participants.create(unique_name="visit")
    assert create(instance, {"Participant": "nonsense"}).status == 400
    refused = create(instance)
    assert (refused.status, refused.body["details"]["conflicting_conversation_sid"]) == (409, held.sid)
    created = create(instance, {"UniqueName": "another"})
    assert (created.status, created.headers.get("Idempotent-Replayed")) == (201, None)


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ".encode().decode("latin-1"), "é", "a\tb", "a\x7f"])
def test_invalid_idempotency_key_is_refused(instance: Instance, key: str) -> None:
    before = instance.items("")
    assert_refused(create(instance, headers={"Idempotency-Key": key}), 400, 20001)
    assert instance.items("") == before


@pytest.mark.parametrize("key", ["x", "x" * 255, "a#b c~!"])
def test_any_printable_idempotency_key_is_accepted(instance: Instance, key: str) -> None:
    headers = {"Idempotency-Key": key}
    first, again = create(instance, headers=headers), create(instance, headers=headers)
    assert (first.status, again.text, again.headers["Idempotent-Replayed"]) == (202, first.text, "true")


@pytest.mark.each_engine
def test_idempotency_keys_are_scoped_to_account(instance: Instance) -> None:
    first = create(instance)
    other = instance.accounts.create()
    auth = (other.sid, instance.accounts.token(other.sid))
    created = call(instance.api, "POST", f"http://convoke.test{PATH}", auth=auth, data=REQUEST, headers=KEY)
    assert (created.status, created.headers.get("Idempotent-Replayed")) == (202, None)
    assert created.body["sid"] != first.body["sid"]
    assert created.body["account_sid"] == other.sid


@pytest.mark.each_engine
def test_idempotency_key_expires_after_24_hours(clocked: Instance, clock: ManualClock) -> None:
    """DynamoDB can keep an expired record for days. Convoke must ignore such a record."""
    data = {"Participant": chat(1)}
    first = create(clocked, data)
    (record,) = clocked.items("idempotency-record")
    assert record["expires_at"] == int(clock.present.timestamp()) + 24 * 60 * 60

    clock.move(timedelta(hours=24))
    assert create(clocked, data).body["sid"] == first.body["sid"]

    clock.move(timedelta(seconds=1))
    second = create(clocked, {"Participant": chat(2)})
    assert (second.status, second.headers.get("Idempotent-Replayed")) == (202, None)
    again = create(clocked, {"Participant": chat(2)})
    assert (again.text, again.headers["Idempotent-Replayed"]) == (second.text, "true")


def test_request_without_key_stores_no_idempotency_record(instance: Instance) -> None:
    create(instance, headers={})
    assert instance.items("idempotency-record") == []


def test_fifty_concurrent_requests_with_one_key_create_once(tmp_path: Path) -> None:
    with held_instance(str(tmp_path / "convoke.db")) as instance, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: create(instance), range(50)))
        assert {answer.status for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
        assert len(instance.items("conversation")) == 1


def test_embedded_engine_removes_expired_idempotency_records(clock: ManualClock) -> None:
    with held_instance(now=clock.now) as instance:
        create(instance, {"Participant": chat(1)}, {"Idempotency-Key": "old"})
        clock.move(timedelta(hours=1))
        create(instance, {"Participant": chat(1)}, {"Idempotency-Key": "new"})
        clock.move(timedelta(hours=23, seconds=1))
        instance.work()
        others = len(instance.items("")) - 2
        instance.engine._sweep()
        assert [record["key"] for record in instance.items("idempotency-record")] == ["new"]
        assert len(instance.items("")) - 1 == others
