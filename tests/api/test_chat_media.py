"""Chat clients upload and fetch media with their access tokens. See docs/behaviour/media.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from tests.support.chat import Key, new_key
from tests.support.chat_users import ChatUser, chat_conversation
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, call, held_instance
from tests.support.media import PICTURE, media_sid

PAGE = "https://app.example.com"


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    with held_instance(allowed_origins=(PAGE,)) as made:
        yield made


@pytest.fixture
def key(embedded: EmbeddedInstance) -> Key:
    return new_key(embedded)


@pytest.fixture
def alice(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "alice")


@pytest.fixture
def bob(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "bob")


def send(
    user: ChatUser,
    key: Key,
    method: str,
    path: str = "",
    data: bytes | str = "",
    service_sid: str | None = None,
    **headers: str,
) -> Answer:
    """Send a request to the media service with the user's access token and a web page's `Origin`."""
    url = f"{ORIGIN}/v1/Services/{service_sid or user.service_sid}/{path or 'Media'}"
    sent: Mapping[str, str] = {"X-Twilio-Token": key.token(user.identity), "Origin": PAGE, **headers}
    return call(user.instance.api, method, url, data=data, headers=sent)


def upload_as(user: ChatUser, key: Key) -> str:
    created = send(user, key, "POST", "Media?Category=media&Filename=car.png", PICTURE, **{"Content-Type": "image/png"})
    assert (created.status, created.body["author"]) == (201, user.identity)
    assert created.headers["Access-Control-Allow-Origin"] == PAGE
    return str(created.body["sid"])


def test_media_of_a_message_is_fetched_by_members_and_before_by_its_uploader_only(
    alice: ChatUser, bob: ChatUser, key: Key
) -> None:
    sid, media = chat_conversation(alice.instance, "alice", "bob"), upload_as(alice, key)
    carol = ChatUser(alice.instance, "carol")
    assert [send(user, key, "GET", f"Media/{media}").status for user in (alice, bob, carol)] == [200, 404, 404]
    sent = alice.call("POST", alice.conversation(sid, "/Messages"), {"media_sids": [media], "attributes": "{}"})
    assert sent.status == 201
    assert [send(user, key, "GET", f"Media/{media}").status for user in (alice, bob, carol)] == [200, 200, 404]
    assert send(carol, key, "GET", f"Media/{media}/Content").status == 404
    stored = alice.instance.client().conversations.v1.conversations(sid).messages(sent.body["sid"]).fetch()
    assert [each["sid"] for each in stored.media] == [media]
    bob.call("DELETE", bob.conversation(sid, "/Participants/bob"))
    assert send(bob, key, "GET", f"Media/{media}").status == 404


def test_media_set_shows_only_what_the_user_may_fetch(alice: ChatUser, bob: ChatUser, key: Key) -> None:
    own, other = upload_as(alice, key), upload_as(bob, key)
    body = json.dumps({"command": "get", "list": [{"media_sid": own}, {"media_sid": other}]})
    answer = send(alice, key, "POST", "MediaSet", body, **{"Content-Type": "application/json"})
    assert [each["code"] for each in answer.body] == [200, 404]
    assert answer.body[0]["media_record"]["links"]["content_direct_temporary"].startswith("http")


def test_media_of_others_cannot_be_sent(embedded: EmbeddedInstance, alice: ChatUser, bob: ChatUser, key: Key) -> None:
    path = alice.conversation(chat_conversation(embedded, "alice", "bob"), "/Messages")
    for media in (upload_as(bob, key), media_sid(embedded), "ME" + "0" * 32):
        assert alice.call("POST", path, {"media_sids": [media]}).error == (400, 50507)
    own = upload_as(alice, key)
    assert alice.call("POST", path, {"media_sids": [own]}).status == 201
    assert alice.call("POST", path, {"media_sids": [own]}).error == (400, 50508)


def test_message_has_several_media_and_at_most_ten(alice: ChatUser, key: Key) -> None:
    path = alice.conversation(chat_conversation(alice.instance, "alice"), "/Messages")
    media = [upload_as(alice, key) for _ in range(11)]
    assert alice.call("POST", path, {"media_sids": media}).error == (400, 20001)
    assert alice.call("POST", path, {"body": "look", "media_sids": media[:10]}).status == 201


def test_service_in_path_must_be_the_service_of_the_token(
    embedded: EmbeddedInstance, alice: ChatUser, key: Key
) -> None:
    media = upload_as(alice, key)
    other = embedded.client().conversations.v1.services.create(friendly_name="Other").sid
    assert send(alice, key, "GET", f"Media/{media}", service_sid=other).status == 404
    refused = send(alice, key, "POST", data=PICTURE, service_sid=other, **{"Content-Type": "image/png"})
    assert (refused.status, refused.body["code"]) == (404, 20404)


def test_invalid_token_is_refused_with_cors_headers(alice: ChatUser, key: Key) -> None:
    for token, code in (("nonsense", 20101), (key.token("alice", ttl=-10), 20104)):
        refused = send(alice, key, "GET", f"Media/ME{'0' * 32}", **{"X-Twilio-Token": token})
        assert (refused.status, refused.body["code"]) == (401, code)
        assert refused.headers["Access-Control-Allow-Origin"] == PAGE
        assert "WWW-Authenticate" not in refused.headers


def test_user_must_exist(alice: ChatUser, key: Key) -> None:
    stranger = ChatUser(alice.instance, "dora")
    alice.instance.client().conversations.v1.users("dora").delete()
    assert send(stranger, key, "GET", f"Media/ME{'0' * 32}").status == 401


def test_deleted_key_is_refused(alice: ChatUser, key: Key) -> None:
    alice.instance.accounts.api_keys.delete(key.sid)
    alice.instance.clear_caches()
    assert send(alice, key, "GET", f"Media/ME{'0' * 32}").status == 401


def test_token_opens_only_the_media_service(alice: ChatUser, key: Key) -> None:
    for path in ("Conversations", "Users", "Mediation", "Media/../Conversations"):
        assert send(alice, key, "GET", path).status == 401


def test_preflight_is_allowed(alice: ChatUser) -> None:
    url = f"{ORIGIN}/v1/Services/{alice.service_sid}/Media"
    headers = {"Origin": PAGE, "Access-Control-Request-Headers": "x-twilio-token"}
    answered = call(alice.instance.api, "OPTIONS", url, headers=headers)
    assert "X-Twilio-Token" in answered.headers["Access-Control-Allow-Headers"].split(", ")
