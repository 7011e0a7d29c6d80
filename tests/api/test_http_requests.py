"""Some rules do not depend on the resource: authentication, paths, bodies, headers, unexpected errors, concurrency.

See docs/behaviour/requests-and-answers.md.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from convoke.domain.sids import Prefix
from convoke.embedded.engine import EmbeddedEngine
from convoke.storage.table import Item, Key, Table
from tests.support.examples import chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, call, held_instance, refusal
from tests.support.sids import Sids


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !", "Bearer token", "Basic " + base64.b64encode(b"no colon").decode()],
)
def test_request_without_credentials_gets_401(instance: Instance, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    for path in ("/v1/Conversations/CH" + "0" * 32, "/v1/Nothing", "/"):
        refused = call(instance.api, "GET", ORIGIN + path, headers=headers)
        assert refused.status == 401
        assert refused.body == {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
            "detail": "Your AccountSid or AuthToken was incorrect.",
        }
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'


@pytest.mark.parametrize("user", ["", "x" * 3000, "ACme", "SKme"])
def test_malformed_user_name_gets_401(instance: Instance, user: str) -> None:
    answered = call(instance.api, "GET", f"{ORIGIN}/v1/Services", auth=(user, "x"))
    assert (answered.status, answered.body["code"]) == (401, 20003)


@pytest.mark.each_engine
def test_sids_are_accepted_in_upper_case(instance: Instance) -> None:
    v1 = instance.client(account_sid="AC" + instance.account.sid[2:].upper()).conversations.v1
    created = v1.conversation_with_participants.create(participant=chat(1))
    instance.work()
    member = v1.conversations(created.sid).participants.list()[0]

    def capitals(sid: str) -> str:
        return sid[:2] + sid[2:].upper()

    in_service = v1.services(capitals(created.chat_service_sid)).conversations(capitals(created.sid))
    assert in_service.participants(capitals(member.sid)).fetch().sid == member.sid


def test_unique_name_of_256_characters_is_found(instance: Instance) -> None:
    conversations = instance.client().conversations.v1.conversations
    created = conversations.create(unique_name="x" * 256)
    assert conversations("x" * 256).fetch().sid == created.sid


@pytest.mark.each_engine
@pytest.mark.parametrize("name", ["x" * 257, "x" * 3000])
def test_overlong_name_in_path_is_not_found(instance: Instance, name: str) -> None:
    for path in (f"/v1/Conversations/{name}", f"/v1/Services/{name}", f"/v1/Conversations/{name}/Participants/{name}"):
        assert instance.call("GET", path).body["code"] == 20404


def test_json_body_is_refused_with_expected_content_type(instance: Instance) -> None:
    headers = {"Content-Type": "application/json"}
    refused = instance.call("POST", "/v1/Services", '{"FriendlyName": "x"}', headers)
    assert (refused.status, refused.body["code"]) == (400, 20001)
    expected = "Content-Type must be application/x-www-form-urlencoded or multipart/form-data"
    assert refused.body["message"] == expected


def multipart(fields: list[tuple[str, str]], boundary: str) -> str:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
    ]
    return "".join(parts) + f"--{boundary}--\r\n"


@pytest.mark.each_engine
def test_multipart_body_is_taken_like_a_form(instance: Instance) -> None:
    fields = [
        ("FriendlyName", "Zoë\r\n & co"),
        ("Participant", '{"identity": "alice"}'),
        ("Participant", '{"identity": "bob"}'),
    ]
    path, created = "/v1/ConversationWithParticipants", []
    for boundary in ("----first", "----second"):
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Idempotency-Key": "key"}
        answered = instance.call("POST", path, multipart(fields, boundary), headers)
        assert answered.status == 202
        created.append((answered.body["sid"], answered.body["friendly_name"]))
    assert created[0] == created[1], "the boundary does not make the request another one"
    assert created[0][1] == "Zoë\r\n & co"
    instance.work()
    members = instance.client().conversations.v1.conversations(created[0][0]).participants.list()
    assert sorted(member.identity for member in members) == ["alice", "bob"]


@pytest.mark.each_engine
@pytest.mark.parametrize("path", ["/v1/Conversations", "/v1/Services", "/convoke/v1/Events", "/v1/Alerts"])
def test_last_value_of_a_repeated_query_parameter_is_used(instance: Instance, path: str) -> None:
    """Some clients add a second `PageSize` to `next_page_url`, which already contains a `PageSize`."""
    meta = instance.call("GET", f"{path}?PageSize=2&Page=0&PageSize=7").body["meta"]
    assert meta["page_size"] == 7


@pytest.mark.each_engine
def test_page_size_added_to_the_next_page_url_is_used(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    made = [v1.conversations.create(friendly_name=str(number)).sid for number in range(4)]
    url = instance.call("GET", "/v1/Conversations?State=closed&State=active&PageSize=1").body["meta"]["next_page_url"]
    page = instance.call("GET", url.removeprefix(ORIGIN) + "&PageSize=2").body
    assert [conversation["sid"] for conversation in page["conversations"]] == made[1:3]
    assert page["meta"]["page_size"] == 2


def test_body_over_one_megabyte_is_refused(instance: Instance) -> None:
    refused = instance.call("POST", "/v1/Services", "FriendlyName=" + "x" * (1024 * 1024))
    assert (refused.status, refused.body["code"]) == (400, 20001)
    assert refused.body["message"].endswith("body must be at most 1048576 bytes")


def test_wrong_token_and_unknown_account_get_same_401(instance: Instance) -> None:
    for client in (instance.client(token="wrong"), instance.client(account_sid="AC" + "0" * 32)):
        error = refusal(client.conversations.v1.conversations("CH" + "0" * 32).fetch)
        assert (error.status, error.code) == (401, 20003)


@pytest.mark.parametrize(
    "alter",
    [str.upper, lambda token: token[:-1], lambda token: f"{token} ", lambda token: ""],
    ids=["in capitals", "without its end", "with a space", "empty"],
)
def test_auth_token_must_match_exactly(instance: Instance, alter: Callable[[str], str]) -> None:
    account = instance.accounts.create(token="abcdef" + "0" * 26)
    right = instance.accounts.token(account.sid)
    assert instance.client(account.sid, right).conversations.v1.conversations.list() == []
    answered = call(instance.api, "GET", f"{ORIGIN}/v1/Services", auth=(account.sid, alter(right)))
    assert (answered.status, answered.body["code"]) == (401, 20003)


@pytest.mark.each_engine
def test_conversation_of_another_account_is_not_found(instance: Instance) -> None:
    created = instance.client().conversations.v1.conversation_with_participants.create(
        unique_name="visit", participant=chat(1)
    )
    other = instance.accounts.create()
    v1 = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1
    for name in (created.sid, "visit"):
        assert refusal(v1.conversations(name).fetch).code == 20404
    assert v1.conversation_with_participants.create(unique_name="visit").sid != created.sid


def test_404_message_names_path_without_version(instance: Instance) -> None:
    answered = instance.call("GET", "/v1/Conversations/CH" + "0" * 32)
    assert answered.body == {
        "code": 20404,
        "message": f"The requested resource /Conversations/CH{'0' * 32} was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }
    assert instance.call("GET", "/v1/Nothing").body["message"] == "The requested resource /Nothing was not found"
    path = f"/Services/{instance.account.default_chat_service_sid}/Conversations/unknown"
    assert instance.call("GET", f"/v1{path}").body["message"] == f"The requested resource {path} was not found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/ConversationWithParticipants"),
        ("DELETE", "/v1/ConversationWithParticipants"),
        ("PUT", "/v1/Services"),
        ("PATCH", "/v1/Configuration/Webhooks"),
    ],
)
def test_wrong_method_on_known_path_gets_405(instance: Instance, method: str, path: str) -> None:
    answered = instance.call(method, path)
    assert (answered.status, answered.body["code"]) == (405, 20004)
    assert "POST" in answered.headers["Allow"]


class BrokenQueue:
    def send(self, _: object) -> None:
        raise OSError("the queue is gone")


class BrokenSids(Sids):
    def __call__(self, prefix: Prefix) -> str:
        raise OSError("the disk is gone")


def test_unexpected_error_gets_500_with_request_id_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with held_instance() as instance:
        broken = EmbeddedEngine(":memory:", lambda edges: replace(instance.engine.edges, new_sid=BrokenSids()))
        auth = (instance.account.sid, instance.token)
        path = f"{ORIGIN}/v1/ConversationWithParticipants"
        answered = call(broken.api.resolve, "POST", path, auth=auth, data={"FriendlyName": "a secret"})
        broken.close()
    assert answered.status == 500
    assert answered.body["code"] == 20500
    request_id = answered.body["details"]["request_id"]
    assert answered.headers["Twilio-Request-Id"] == request_id
    assert "Traceback" not in answered.text
    assert "the disk" not in answered.text
    assert [getattr(record, "request_id", None) for record in caplog.records] == [request_id]
    assert "a secret" not in caplog.text


def test_queue_failure_after_commit_does_not_fail_the_request() -> None:
    with held_instance(participant_queue=BrokenQueue()) as instance:
        v1 = instance.client().conversations.v1
        created = v1.conversation_with_participants.create(participant=chat(2))
        assert created.state == "initializing"
        instance.work()
        assert v1.conversations(created.sid).fetch().state == "initializing"
        instance.sweep(timedelta(seconds=11))
        instance.work()
        assert v1.conversations(created.sid).fetch().state == "active"


def test_every_response_has_request_id_and_content_type(instance: Instance) -> None:
    answered = instance.call("GET", "/v1/Services")
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.headers["Twilio-Request-Id"].startswith("RQ")
    assert instance.call("GET", "/v1/Nothing").headers["Twilio-Request-Id"].startswith("RQ")


def test_concurrent_requests_never_mix_up_responses(embedded: EmbeddedInstance) -> None:
    """Concurrent requests would overwrite the class attribute in which Powertools stores the current request.

    Therefore Convoke must not use this attribute.
    """
    instance = embedded
    v1 = instance.client().conversations.v1
    names = [v1.conversation_with_participants.create(unique_name=f"name {n}").unique_name for n in range(32)]

    def ask(number: int) -> bool:
        name = names[number % 32]
        match number % 3:
            case 0:
                return bool(instance.call("GET", f"/v1/Conversations/{name}").body["unique_name"] == name)
            case 1:
                return str(number) in str(instance.call("GET", f"/v1/Conversations/missing-{number}").body["message"])
            case _:
                made: Any = instance.call("POST", "/v1/ConversationWithParticipants", {"FriendlyName": f"f{number}"})
                return bool(made.body["friendly_name"] == f"f{number}")

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(2_000)))
    assert answers.count(False) == 0


class SlowTable:
    """A table whose `get` waits for `go` if the partition key contains `slow`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.held, self.go = threading.Event(), threading.Event()

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._table, verb)

    def get(self, key: Key) -> Item | None:
        if "slow" in key.pk:
            self.held.set()
            assert self.go.wait(10)
        return self._table.get(key)


def test_slow_request_does_not_block_another_request(embedded: EmbeddedInstance) -> None:
    instance = embedded
    table = SlowTable(instance.engine.table)
    slow = EmbeddedEngine(":memory:", lambda _: replace(instance.engine.edges, table=table))
    auth = (instance.account.sid, instance.token)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, slow.api.resolve, "GET", f"{ORIGIN}/v1/Conversations/slow", auth=auth)
        assert table.held.wait(10)
        quick = call(slow.api.resolve, "GET", f"{ORIGIN}/v1/Conversations/quick", auth=auth)
        assert not waiting.done()
        table.go.set()
        assert "/Conversations/slow" in waiting.result().body["message"]
    assert "/Conversations/quick" in quick.body["message"]
    slow.close()
