"""Chat clients send, update and delete messages, and read delivery receipts. See docs/chat.md."""

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
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import EmbeddedInstance


@pytest.fixture
def alice(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "alice")


@pytest.fixture
def sid(embedded: EmbeddedInstance) -> str:
    """Create a conversation with the chat users alice and bob. Return the conversation SID."""
    return chat_conversation(embedded, "alice", "bob")


def bodies(user: ChatUser, sid: str) -> list[str | None]:
    return [each.body for each in user.instance.client().conversations.v1.conversations(sid).messages.list()]


def test_message_has_the_keys_that_the_sdk_reads(alice: ChatUser, sid: str) -> None:
    path = alice.conversation(sid, "/Messages")
    alice.call("POST", path, {"body": "first"})
    sent = alice.call("POST", path, {"body": "second", "media_sids": [], "attributes": '{"a": 1}', "author": "bob"})
    participant = alice.instance.client().conversations.v1.conversations(sid).participants("alice").fetch()
    url = f"{CHAT_ORIGIN}{alice.path}/Conversations/{sid}"
    message_sid = sent.body["sid"]
    assert (sent.status, sent.body) == (
        201,
        {
            "sid": message_sid,
            "index": 1,
            "author": "alice",
            "participant_sid": participant.sid,
            "body": "second",
            "attributes": '{"a": 1}',
            "date_created": sent.body["date_created"],
            "date_updated": sent.body["date_created"],
            "links": {"conversation": url, "messages_receipts": f"{url}/Messages/{message_sid}/Receipts"},
        },
    )


def test_user_changes_and_deletes_own_messages_only(embedded: EmbeddedInstance, alice: ChatUser, sid: str) -> None:
    bob = ChatUser(embedded, "bob")
    path = alice.conversation(sid, "/Messages")
    own = alice.call("POST", path, {"body": "before"}).body["sid"]
    assert alice.call("POST", f"{path}/{own}", {"body": "after"}).body["body"] == "after"
    assert alice.call("POST", f"{path}/{own}", {"attributes": '{"a": 1}'}).body["attributes"] == '{"a": 1}'
    for body in ({"body": "x"}, {"attributes": "{}"}, {}):
        assert bob.call("POST", f"{path}/{own}", body).error == (403, 50107)
    assert bob.call("DELETE", f"{path}/{own}").error == (403, 50107)
    assert bodies(alice, sid) == ["after"]
    unchanged = alice.call("POST", f"{path}/{own}", {"author": "bob"})
    assert (unchanged.status, unchanged.body["author"]) == (200, "alice")
    assert alice.call("DELETE", f"{path}/{own}").status == 204
    assert alice.call("DELETE", f"{path}/{own}").error == (404, 20404)


def test_channel_admin_changes_and_deletes_every_message(embedded: EmbeddedInstance, alice: ChatUser, sid: str) -> None:
    v1 = embedded.client().conversations.v1
    admin = next(role.sid for role in v1.roles.list() if role.friendly_name == "channel admin")
    v1.conversations(sid).participants("alice").update(role_sid=admin)
    path = alice.conversation(sid, "/Messages")
    message = ChatUser(embedded, "bob").call("POST", path, {"body": "before"}).body["sid"]
    changed = alice.call("POST", f"{path}/{message}", {"body": "after", "attributes": '{"a": 1}'})
    assert [changed.body[name] for name in ("author", "body", "attributes")] == ["bob", "after", '{"a": 1}']
    assert alice.call("DELETE", f"{path}/{message}").status == 204


def test_body_and_attributes_need_their_own_permissions(embedded: EmbeddedInstance, alice: ChatUser, sid: str) -> None:
    role_sid = role_with(embedded, "conversation", "editAnyMessage")
    v1 = embedded.client().conversations.v1
    v1.conversations(sid).participants("alice").update(role_sid=role_sid)
    path = f"{alice.conversation(sid, '/Messages')}/{v1.conversations(sid).messages.create(body='x').sid}"
    assert alice.call("POST", path, {"body": "y"}).status == 200
    assert alice.call("POST", path, {"attributes": "{}"}).error == (403, 50107)
    assert alice.call("POST", path, {"body": "z", "attributes": "{}"}).error == (403, 50107)


def test_outsider_neither_sends_nor_changes_nor_reads(embedded: EmbeddedInstance, sid: str) -> None:
    carol = ChatUser(embedded, "carol")
    path = carol.conversation(sid, "/Messages")
    known = embedded.client().conversations.v1.conversations(sid).messages.create(body="x", author="carol").sid
    assert carol.call("POST", path, {"body": "x"}).error == (403, 50430)
    for message in (known, "IM" + "0" * 32):
        assert carol.call("POST", f"{path}/{message}", {"body": "x"}).error == (403, 50430)
        assert carol.call("DELETE", f"{path}/{message}").error == (403, 50430)
        assert carol.call("GET", f"{path}/{message}/Receipts").error == (403, 50430)
        assert carol.call("GET", f"{path}/{message}/ChannelMetadata").error == (403, 50430)


def test_removed_member_sends_nothing_more(embedded: EmbeddedInstance, alice: ChatUser, sid: str) -> None:
    embedded.client().conversations.v1.conversations(sid).participants("alice").delete()
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).error == (403, 50430)


def test_unknown_message_is_not_found(alice: ChatUser, sid: str) -> None:
    path = alice.conversation(sid, f"/Messages/IM{'0' * 32}")
    assert alice.call("POST", path, {"body": "x"}).error == (404, 20404)
    assert alice.call("DELETE", path).error == (404, 20404)
    assert alice.call("GET", f"{path}/Receipts").error == (404, 20404)
    assert alice.call("GET", f"{path}/ChannelMetadata").error == (404, 20404)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (400, 50503)),
        ({"body": ""}, (400, 50503)),
        ({"body": 5}, (400, 20001)),
        ({"body": "x" * (32 * 1024 + 1)}, (400, 50504)),
        ({"body": "x", "attributes": "{"}, (400, 50304)),
        ({"body": "x", "attributes": {}}, (400, 20001)),
        ({"body": "x", "subject": "x" * 257}, (400, 20001)),
        ({"content_sid": "x"}, (400, 50526)),
        ({"media_sids": ["x"]}, (400, 50510)),
        ({"media_sids": [5]}, (400, 20001)),
        ({"media_sids": "x"}, (400, 20001)),
    ],
)
def test_bad_input_has_the_codes_of_the_rest_api(
    alice: ChatUser, sid: str, body: dict[str, object], error: tuple[int, int]
) -> None:
    assert alice.call("POST", alice.conversation(sid, "/Messages"), body).error == error


def test_receipts_are_listed_in_pages(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    v1 = embedded.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    embedded.work()
    v1.conversations(sid).participants.create(
        messaging_binding_address="+15558675399", messaging_binding_proxy_address="+15017122661"
    )
    path = alice.conversation(sid, "/Messages")
    sent = alice.call("POST", path, {"body": "hello"}).body
    stored = v1.conversations(sid).messages(sent["sid"]).delivery_receipts.list()
    assert len(stored) == 2
    receipts_path = sent["links"]["messages_receipts"]
    whole = alice.call("GET", receipts_path).body
    assert [each["sid"] for each in whole["delivery_receipts"]] == [each.sid for each in stored]
    assert whole["meta"] == {"previous_token": None, "next_token": None}
    first = whole["delivery_receipts"][0]
    assert first == {
        "sid": stored[0].sid,
        "conversation_sid": sid,
        "message_sid": sent["sid"],
        "channel_message_sid": stored[0].channel_message_sid,
        "participant_sid": stored[0].participant_sid,
        "status": stored[0].status,
        "error_code": 0,
        "date_created": first["date_created"],
        "date_updated": first["date_updated"],
    }
    page = alice.call("GET", receipts_path, params={"PageSize": "1"}).body
    token = page["meta"]["next_token"]
    other = alice.call("GET", receipts_path, params={"PageSize": "1", "PageToken": token}).body
    assert [*page["delivery_receipts"], *other["delivery_receipts"]] == whole["delivery_receipts"]
    back = alice.call("GET", receipts_path, params={"PageSize": "1", "PageToken": other["meta"]["previous_token"]}).body
    assert back["delivery_receipts"] == page["delivery_receipts"]
    assert alice.call("GET", receipts_path, params={"PageToken": "x"}).error == (400, 20001)


def test_message_has_no_channel_metadata(alice: ChatUser, sid: str) -> None:
    message = alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).body["sid"]
    assert alice.call("GET", alice.conversation(sid, f"/Messages/{message}/ChannelMetadata")).error == (404, 50530)


def test_webhook_requests_name_source_and_identity(embedded: EmbeddedInstance, alice: ChatUser, sid: str) -> None:
    names = [f"onMessage{each}" for each in ("Add", "Added", "Update", "Updated", "Remove", "Removed")]
    receive_webhooks(embedded, *names)
    path = alice.conversation(sid, "/Messages")
    message = alice.call("POST", path, {"body": "x"}).body["sid"]
    alice.call("POST", f"{path}/{message}", {"body": "y"})
    alice.call("DELETE", f"{path}/{message}")
    received = received_webhooks(embedded)
    assert [(each["Source"], each["ClientIdentity"], each["Author"]) for each in received] == [
        ("SDK", "alice", "alice")
    ] * 6
    assert sorted(each["EventType"] for each in received) == sorted(names)


def test_receiver_of_pre_event_changes_or_refuses_a_message(
    embedded: EmbeddedInstance, alice: ChatUser, sid: str
) -> None:
    receive_webhooks(embedded, "onMessageAdd")
    path = alice.conversation(sid, "/Messages")
    embedded.receivers.bodies = [b'{"body": "better"}']
    assert alice.call("POST", path, {"body": "x"}).body["body"] == "better"
    embedded.receivers.statuses = [403]
    assert alice.call("POST", path, {"body": "y"}).error == (400, 50056)
    assert bodies(alice, sid) == ["better"]


def test_message_of_a_member_who_is_removed_during_the_pre_event_is_refused(
    embedded: EmbeddedInstance, alice: ChatUser, sid: str
) -> None:
    receive_webhooks(embedded, "onMessageAdd")
    participants = embedded.client().conversations.v1.conversations(sid).participants
    embedded.receivers.on_call = lambda: participants("alice").delete()
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "x"}).error == (403, 50430)
    assert bodies(alice, sid) == []


def test_role_that_changes_during_the_pre_event_is_checked_again(
    embedded: EmbeddedInstance, alice: ChatUser, sid: str
) -> None:
    receive_webhooks(embedded, "onMessageAdd")
    participants = embedded.client().conversations.v1.conversations(sid).participants
    role_sid = role_with(embedded, "conversation", "leaveConversation")
    embedded.receivers.on_call = lambda: participants("alice").update(role_sid=role_sid)
    path = alice.conversation(sid, "/Messages")
    assert alice.call("POST", path, {"body": "x"}).error == (503, 20503)
    embedded.receivers.on_call = lambda: None
    assert alice.call("POST", path, {"body": "x"}).error == (403, 50107)
    assert bodies(alice, sid) == []


def test_message_is_sent_with_one_pre_event_if_the_conversation_changes_meanwhile(
    embedded: EmbeddedInstance, alice: ChatUser, sid: str
) -> None:
    receive_webhooks(embedded, "onMessageAdd")
    conversation = embedded.client().conversations.v1.conversations(sid)
    embedded.receivers.on_call = lambda: conversation.messages.create(body="first")
    assert alice.call("POST", alice.conversation(sid, "/Messages"), {"body": "second"}).body["index"] == 1
    assert len(embedded.receivers.posted) == 1
    assert bodies(alice, sid) == ["first", "second"]
