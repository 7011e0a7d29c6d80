"""Chat clients join conversations, and add, update and remove participants. See docs/chat.md."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.chat_users import (
    CHAT_ORIGIN,
    ChatUser,
    chat_conversation,
    receive_webhooks,
    received_webhooks,
    role_with,
)
from tests.support.instances import EmbeddedInstance

SMS = {"address": "+15558675310", "proxy_address": "+15017122661"}


@pytest.fixture
def alice(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "alice")


def own_conversation(user: ChatUser) -> str:
    """Create a conversation as `user`, and join the conversation. Return the conversation SID.

    The creator becomes the conversation's admin by joining.
    """
    created = user.call("POST", "/Conversations", {})
    assert user.call("POST", created.body["links"]["participants"], {"identity": user.identity}).status == 201
    return str(created.body["sid"])


def identities(user: ChatUser, sid: str) -> list[str]:
    participants = user.instance.client().conversations.v1.conversations(sid).participants.list()
    return sorted(each.identity for each in participants if each.identity)


def test_participant_has_the_keys_that_the_sdk_reads(alice: ChatUser) -> None:
    sid = own_conversation(alice)
    added = alice.call("POST", alice.conversation(sid, "/Participants"), {"identity": "bob", "attributes": '{"a": 1}'})
    url = f"{CHAT_ORIGIN}{alice.path}/Conversations/{sid}"
    stored = alice.instance.client().conversations.v1.conversations(sid).participants("bob").fetch()
    assert (added.status, added.body) == (
        201,
        {
            "sid": stored.sid,
            "identity": "bob",
            "attributes": '{"a": 1}',
            "messaging_binding": None,
            "role_sid": stored.role_sid,
            "date_created": added.body["date_created"],
            "date_updated": added.body["date_created"],
            "links": {"self": f"{url}/Participants/{stored.sid}", "conversation": url},
        },
    )


def test_admin_adds_and_removes_an_address(alice: ChatUser) -> None:
    sid = own_conversation(alice)
    added = alice.call(
        "POST",
        alice.conversation(sid, "/Participants"),
        {"attributes": "{}", "messaging_binding": {**SMS, "name": None, "level": None}},
    )
    assert (added.status, added.body["messaging_binding"]) == (201, {"type": "sms", **SMS})
    assert alice.call("DELETE", added.body["links"]["self"]).status == 204
    assert alice.call("DELETE", added.body["links"]["self"]).error == (404, 20404)


def test_user_joins_and_leaves_by_identity_with_special_characters(embedded: EmbeddedInstance) -> None:
    user = ChatUser(embedded, "Zoë /%? 1")
    path = user.conversation(chat_conversation(embedded, "bob"), "/Participants")
    assert user.call("POST", path, {"identity": user.identity}).status == 201
    assert user.call("POST", path, {"identity": user.identity}).error == (409, 50433)
    assert user.call("DELETE", f"{path}/{quote(user.identity, safe='')}").status == 204
    assert user.call("DELETE", f"{path}/{quote(user.identity, safe='')}").error == (403, 50430)


def test_user_without_permission_must_not_join(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    v1 = embedded.client().conversations.v1
    v1.users("alice").update(role_sid=role_with(embedded, "service", "createConversation"))
    path = alice.conversation(chat_conversation(embedded, "bob"), "/Participants")
    assert alice.call("POST", path, {"identity": "alice"}).error == (403, 50107)


def test_channel_user_must_not_add_or_remove_others_but_may_leave(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice", "bob")
    path = alice.conversation(sid, "/Participants")
    for body in ({"identity": "carol"}, {"messaging_binding": SMS}, {"identity": "carol", "messaging_binding": SMS}):
        assert alice.call("POST", path, body).error == (403, 50107)
    assert alice.call("POST", path, {}).error == (403, 50107)
    assert alice.call("DELETE", f"{path}/bob").error == (403, 50107)
    assert identities(alice, sid) == ["alice", "bob"]
    assert alice.call("DELETE", f"{path}/alice").status == 204
    assert identities(alice, sid) == ["bob"]


def test_outsider_must_not_change_participants_and_learns_nothing_about_them(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    path = alice.conversation(chat_conversation(embedded, "bob"), "/Participants")
    assert alice.call("POST", path, {"identity": "carol"}).error == (403, 50430)
    assert alice.call("POST", path, {"messaging_binding": SMS}).error == (403, 50430)
    for sid in ("bob", "carol", "MB" + "0" * 32):
        assert alice.call("POST", f"{path}/{sid}", {"attributes": "{}"}).error == (403, 50430)
        assert alice.call("DELETE", f"{path}/{sid}").error == (403, 50430)


def test_user_changes_own_attributes_and_admin_changes_any(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    bob, sid = ChatUser(embedded, "bob"), own_conversation(alice)
    path = alice.conversation(sid, "/Participants")
    alice.call("POST", path, {"identity": "bob"})
    assert bob.call("POST", f"{path}/bob", {"attributes": '{"a": 1}'}).body["attributes"] == '{"a": 1}'
    assert bob.call("POST", f"{path}/alice", {"attributes": '{"a": 1}'}).error == (403, 50107)
    changed = alice.call("POST", f"{path}/bob", {"attributes": '{"a": 2}', "role_sid": "RL" + "0" * 32})
    assert (changed.status, changed.body["attributes"]) == (200, '{"a": 2}')


def test_client_sets_neither_role_nor_dates(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    path = alice.conversation(chat_conversation(embedded, "bob"), "/Participants")
    admin = next(r.sid for r in embedded.client().conversations.v1.roles.list() if r.friendly_name == "channel admin")
    joined = alice.call("POST", path, {"identity": "alice", "role_sid": admin, "date_created": "2020-01-01T00:00:00Z"})
    assert joined.body["role_sid"] != admin
    assert not joined.body["date_created"].startswith("2020")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (400, 50204)),
        ({"identity": 5}, (400, 20001)),
        ({"identity": "x" * 257}, (400, 50207)),
        ({"identity": "bob", "attributes": 5}, (400, 20001)),
        ({"identity": "bob", "attributes": "{"}, (400, 50304)),
        ({"messaging_binding": "sms"}, (400, 20001)),
        ({"messaging_binding": {"address": 5}}, (400, 20001)),
        ({"messaging_binding": {**SMS, "address": "x"}}, (400, 50407)),
        ({"messaging_binding": {"address": SMS["address"], "proxy_address": "x"}}, (400, 50408)),
    ],
)
def test_bad_input_has_the_codes_of_the_rest_api(
    alice: ChatUser, body: dict[str, object], error: tuple[int, int]
) -> None:
    sid = own_conversation(alice)
    assert alice.call("POST", alice.conversation(sid, "/Participants"), body).error == error


def test_new_participants_of_a_deleted_role_count_as_channel_users(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid, v1 = chat_conversation(embedded, "alice"), embedded.client().conversations.v1
    role_sid = role_with(embedded, "conversation", "deleteConversation")
    v1.conversations(sid).participants("alice").update(role_sid=role_sid)
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).error == (403, 50107)
    v1.roles(role_sid).delete()
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).status == 201
    assert alice.call("DELETE", alice.conversation(sid)).error == (403, 50107)


def test_webhook_requests_name_source_and_identity_and_pre_events_can_refuse(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    sid = own_conversation(alice)
    embedded.work()
    names = ["onParticipantAdd", "onParticipantAdded", "onParticipantUpdate", "onParticipantUpdated"]
    names += ["onParticipantRemove", "onParticipantRemoved"]
    receive_webhooks(embedded, *names)
    path = alice.conversation(sid, "/Participants")
    alice.call("POST", path, {"identity": "bob"})
    alice.call("POST", f"{path}/bob", {"attributes": "{}"})
    alice.call("DELETE", f"{path}/bob")
    received = [(each["EventType"], each["Source"], each["ClientIdentity"]) for each in received_webhooks(embedded)]
    assert sorted(received) == sorted((name, "SDK", "alice") for name in names)
    embedded.receivers.statuses = [403]
    assert alice.call("POST", path, {"identity": "carol"}).error == (400, 50056)
    assert identities(alice, sid) == ["alice"]
