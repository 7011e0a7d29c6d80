"""Chat clients create, fetch, update and delete conversations. See docs/chat.md."""

from __future__ import annotations

import pytest

from tests.support.chat_users import (
    CHAT_ORIGIN,
    ChatUser,
    chat_conversation,
    receive_webhooks,
    received_webhooks,
    role_with,
)
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock


@pytest.fixture
def alice(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "alice")


def test_conversation_has_the_keys_that_the_sdk_reads(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(
        embedded, "alice", "bob", friendly_name="Order", unique_name="order 1", attributes='{"a": 1}'
    )
    messages = embedded.client().conversations.v1.conversations(sid).messages
    messages.create(body="hello")
    messages(messages.create(body="deleted").sid).delete()
    url = f"{CHAT_ORIGIN}{alice.path}/Conversations/{sid}"
    answer = alice.call("GET", alice.conversation(sid))
    dates = {name: answer.body[name] for name in ("date_created", "date_updated")}
    assert (answer.status, answer.body) == (
        200,
        {
            "sid": sid,
            "conversation_sid": sid,
            "friendly_name": "Order",
            "unique_name": "order 1",
            "attributes": '{"a": 1}',
            **dates,
            "created_by": "system",
            "state": "active",
            "status": "joined",
            "notification_level": "default",
            "last_read_message_index": None,
            "unread_messages_count": None,
            "participants_count": 2,
            "messages_count": 1,
            "sync_objects": {
                "conversation": f"{sid}.channel",
                "messages": f"{sid}.messages",
                "participants": f"{sid}.roster",
            },
            "links": {"self": url, "messages": f"{url}/Messages", "participants": f"{url}/Participants"},
        },
    )
    assert alice.call("GET", alice.conversation("order 1")) == answer
    assert alice.call("GET", url) == answer


def test_creator_is_not_a_participant_until_joining_and_is_then_admin(alice: ChatUser) -> None:
    instance = alice.instance
    created = alice.call(
        "POST", "/Conversations", {"friendly_name": "Order", "unique_name": None, "attributes": "{}", "access": "x"}
    )
    assert created.status == 201
    assert (created.body["status"], created.body["created_by"]) == ("notParticipating", "alice")
    assert created.body["participants_count"] == 0
    assert alice.call("GET", created.body["links"]["self"]).body == created.body
    v1 = instance.client().conversations.v1
    joined = alice.call("POST", created.body["links"]["participants"], {"identity": "alice"})
    assert joined.status == 201
    assert v1.roles(joined.body["role_sid"]).fetch().friendly_name == "channel admin"
    ((membership,)) = v1.users("alice").user_conversations.list()
    assert membership.created_by == "alice"
    (found,) = v1.participant_conversations.list(identity="alice")
    assert found.conversation_created_by == "alice"


def test_removed_creator_sees_nothing_more_and_does_not_become_admin_again(alice: ChatUser) -> None:
    created = alice.call("POST", "/Conversations", {})
    url, participants = created.body["links"]["self"], created.body["links"]["participants"]
    conversation = alice.instance.client().conversations.v1.conversations(created.body["sid"])
    conversation.participants.create(identity="bob")
    assert alice.call("GET", url).status == 200
    admin = alice.call("POST", participants, {"identity": "alice"}).body["role_sid"]
    conversation.participants("alice").delete()
    assert alice.call("GET", url).error == (403, 50430)
    assert alice.call("POST", participants, {"identity": "alice"}).body["role_sid"] != admin


def test_other_users_who_join_are_channel_users(alice: ChatUser) -> None:
    created = alice.call("POST", "/Conversations", {"friendly_name": "Order"})
    bob = ChatUser(alice.instance, "bob")
    joined = bob.call("POST", created.body["links"]["participants"], {"identity": "bob"})
    roles = alice.instance.client().conversations.v1.roles
    assert roles(joined.body["role_sid"]).fetch().friendly_name == "channel user"


def test_creator_gets_the_creator_role_of_the_service(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    role_sid = role_with(embedded, "conversation", "sendMessage")
    configuration = embedded.client().conversations.v1.services(alice.service_sid).configuration()
    configuration.update(default_conversation_creator_role_sid=role_sid)
    created = alice.call("POST", "/Conversations", {})
    joined = alice.call("POST", created.body["links"]["participants"], {"identity": "alice"})
    assert joined.body["role_sid"] == role_sid


def test_conversation_of_others_cannot_be_read_or_changed(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    path = alice.conversation(chat_conversation(embedded, "bob", unique_name="order"))
    for method, body in (
        ("GET", None),
        ("POST", {}),
        ("POST", {"friendly_name": "x"}),
        ("POST", {"attributes": "{}"}),
        ("DELETE", None),
    ):
        assert alice.call(method, path, body).error == (403, 50430)
        assert alice.call(method, alice.conversation("order"), body).error == (403, 50430)


def test_unknown_conversation_is_not_found(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    v1 = embedded.client().conversations.v1
    elsewhere = v1.services(v1.services.create(friendly_name="Other").sid).conversations.create().sid
    for sid in ("CH" + "0" * 32, "no such name", elsewhere):
        for method in ("GET", "POST", "DELETE"):
            assert alice.call(method, alice.conversation(sid)).error == (404, 20404)


def test_service_in_path_must_be_the_service_of_the_token(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    other = embedded.client().conversations.v1.services.create(friendly_name="Other").sid
    url = f"{CHAT_ORIGIN}/Client/v2/Services/{other}/Conversations/{sid}"
    assert alice.call("GET", url).error == (404, 20404)


def test_initializing_conversation_is_invisible(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    created = embedded.client().conversations.v1.conversation_with_participants.create(
        participant=['{"identity": "alice"}']
    )
    assert created.state == "initializing"
    path = alice.conversation(created.sid)
    assert alice.call("GET", path).error == (404, 20404)
    assert alice.call("DELETE", path).error == (404, 20404)
    assert alice.call("POST", f"{path}/Messages", {"body": "x"}).error == (404, 20404)
    assert alice.call("GET", f"/Users/{alice.sid}/Conversations").body["conversations"] == []
    embedded.work()
    assert alice.call("GET", path).body["status"] == "joined"


def test_channel_admin_changes_and_clears_names_and_attributes(alice: ChatUser) -> None:
    created = alice.call("POST", "/Conversations", {"friendly_name": "Order", "unique_name": "order"})
    alice.call("POST", created.body["links"]["participants"], {"identity": "alice"})
    url = created.body["links"]["self"]
    updated = alice.call("POST", url, {"attributes": '{"a": 1}'})
    assert updated.status == 200
    assert [updated.body[name] for name in ("friendly_name", "unique_name", "attributes")] == [
        "Order",
        "order",
        '{"a": 1}',
    ]
    updated = alice.call("POST", url, {"friendly_name": None, "unique_name": "", "attributes": None})
    assert [updated.body[name] for name in ("friendly_name", "unique_name", "attributes")] == ["", None, '{"a": 1}']
    before = alice.call("GET", url).body
    assert alice.call("POST", url, {"unknown": 1}).body == before


def test_channel_user_must_not_change_or_delete_the_conversation(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    path = alice.conversation(chat_conversation(embedded, "alice"))
    for body in ({"friendly_name": "x"}, {"unique_name": None}, {"attributes": "{}"}):
        assert alice.call("POST", path, body).error == (403, 50107)
    assert alice.call("DELETE", path).error == (403, 50107)
    assert alice.call("POST", path, {}).status == 200


def test_service_admin_sees_changes_and_deletes_conversations_of_others(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    sid = chat_conversation(embedded, "bob")
    v1 = embedded.client().conversations.v1
    admin = next(role.sid for role in v1.roles.list() if role.friendly_name == "service admin")
    v1.users("alice").update(role_sid=admin)
    assert alice.call("GET", alice.conversation(sid)).body["status"] == "notParticipating"
    assert alice.call("POST", alice.conversation(sid), {"friendly_name": "x"}).body["friendly_name"] == "x"
    assert alice.call("DELETE", alice.conversation(sid)).status == 204
    assert alice.call("GET", alice.conversation(sid)).error == (404, 20404)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"friendly_name": 5}, (400, 20001)),
        ({"attributes": {"a": 1}}, (400, 20001)),
        ({"unique_name": ["x"]}, (400, 20001)),
        ({"attributes": "{"}, (400, 50304)),
        ({"attributes": '"' + "x" * 16 * 1024 + '"'}, (400, 50303)),
        ({"unique_name": "CH" + "0" * 32}, (400, 50390)),
    ],
)
def test_bad_input_has_the_codes_of_the_rest_api(
    alice: ChatUser, body: dict[str, object], error: tuple[int, int]
) -> None:
    assert alice.call("POST", "/Conversations", body).error == error
    created = alice.call("POST", "/Conversations", {})
    alice.call("POST", created.body["links"]["participants"], {"identity": "alice"})
    assert alice.call("POST", created.body["links"]["self"], body).error == error


def test_taken_unique_name_is_refused(alice: ChatUser) -> None:
    assert alice.call("POST", "/Conversations", {"unique_name": "order"}).status == 201
    assert alice.call("POST", "/Conversations", {"unique_name": "order"}).error == (409, 50353)


def test_user_without_permission_must_not_create_a_conversation(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    role_sid = role_with(embedded, "service", "joinConversation")
    embedded.client().conversations.v1.users("alice").update(role_sid=role_sid)
    assert alice.call("POST", "/Conversations", {}).error == (403, 50107)


def test_closed_conversation_is_shown_but_not_changed(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    embedded.client().conversations.v1.conversations(sid).update(state="closed")
    assert alice.call("GET", alice.conversation(sid)).body["state"] == "closed"
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).error == (400, 50377)


def test_webhook_requests_name_source_and_identity_without_a_header(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    receive_webhooks(
        embedded, "onConversationAdd", "onConversationAdded", "onConversationUpdate", "onConversationRemove"
    )
    created = alice.call("POST", "/Conversations", {"friendly_name": "Order"})
    alice.call("POST", created.body["links"]["participants"], {"identity": "alice"})
    alice.call("POST", created.body["links"]["self"], {"friendly_name": "Other"})
    alice.call("DELETE", created.body["links"]["self"])
    received = [(each["EventType"], each["Source"], each["ClientIdentity"]) for each in received_webhooks(embedded)]
    assert sorted(received) == [
        (name, "SDK", "alice")
        for name in ("onConversationAdd", "onConversationAdded", "onConversationRemove", "onConversationUpdate")
    ]


def test_receiver_of_pre_event_changes_or_refuses_the_creation(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    receive_webhooks(embedded, "onConversationAdd")
    embedded.receivers.bodies = [b'{"friendly_name": "Better"}']
    assert alice.call("POST", "/Conversations", {"friendly_name": "Order"}).body["friendly_name"] == "Better"
    embedded.receivers.statuses = [403]
    assert alice.call("POST", "/Conversations", {"unique_name": "order"}).error == (400, 50056)
    assert alice.call("GET", alice.conversation("order")).error == (404, 20404)


def test_call_of_a_deleted_user_is_not_authenticated(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    embedded.client().conversations.v1.users("alice").delete()
    assert alice.call("GET", alice.conversation(sid)).error == (401, 20101)


def test_unknown_paths_and_methods_are_refused(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    assert alice.call("GET", alice.conversation(sid, "/MessageRecipients")).error == (404, 20404)
    assert alice.call("GET", alice.conversation(sid, "/Messages")).error == (405, 20004)


def test_dates_have_milliseconds() -> None:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        created = ChatUser(instance, "alice").call("POST", "/Conversations", {})
    assert created.body["date_created"] == clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
