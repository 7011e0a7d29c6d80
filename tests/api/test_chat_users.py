"""Chat clients fetch the service's configuration, and fetch and update Users and their own conversations.

See docs/chat.md.
"""

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
from tests.support.instances import EmbeddedInstance


@pytest.fixture
def alice(embedded: EmbeddedInstance) -> ChatUser:
    return ChatUser(embedded, "alice")


def test_configuration_has_the_keys_that_the_sdk_reads(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    url = f"{CHAT_ORIGIN}{alice.path}"
    media = f"{CHAT_ORIGIN}/v1/Services/{alice.service_sid}"
    answer = alice.call("GET", f"{CHAT_ORIGIN}/Client/v2/Configuration")
    assert (answer.status, answer.body) == (
        200,
        {
            "identity": "alice",
            "options": {
                "consumption_report_interval": "PT1S",
                "http_cache_interval": "PT1S",
                "user_infos_to_subscribe": 100,
                "reachability_enabled": False,
                "my_conversations_page_size": 50,
                "media_attachments_count_limit": 10,
                "media_attachment_size_limit_in_mb": 150,
                "media_attachments_total_size_limit_in_mb": 1500,
                "email_histories_allowed_mime_types": ["text/plain", "text/html"],
                "email_bodies_allowed_mime_types": ["text/plain", "text/html"],
            },
            "sync_objects": {"my_conversations": "alice.channels", "my_user_info": f"{alice.sid}.info"},
            "links": {
                "my_conversations": f"{url}/Users/{alice.sid}/Conversations",
                "conversations": f"{url}/Conversations",
                "users": f"{url}/Users",
                "current_user": f"{url}/Users/{alice.sid}",
                "typing": f"{CHAT_ORIGIN}/v1/Instances/{alice.service_sid}/Typing",
                "media_service": f"{media}/Media",
                "media_set_service": f"{media}/MediaSet",
                "messages_receipts": f"{url}/Conversations/%s/Messages/%s/Receipts",
            },
        },
    )
    embedded.client().conversations.v1.services(alice.service_sid).configuration().update(reachability_enabled=True)
    embedded.clear_caches()
    answer = alice.call("GET", f"{CHAT_ORIGIN}/Client/v2/Configuration")
    assert answer.body["options"]["reachability_enabled"] is True


def test_there_are_no_content_templates(alice: ChatUser) -> None:
    answer = alice.call("GET", f"{CHAT_ORIGIN}/Client/v2/ContentTemplates", params={"PageSize": "100"})
    assert answer.body == {"templates": [], "meta": {"previous_token": None, "next_token": None}}


def test_user_has_the_keys_that_the_sdk_reads(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    bob = ChatUser(embedded, "bob")
    embedded.client().conversations.v1.users("bob").update(friendly_name="Bob", attributes='{"a": 1}')
    url = f"{CHAT_ORIGIN}{alice.path}/Users/{bob.sid}"
    answer = alice.call("GET", "/Users/bob")
    assert (answer.status, answer.body) == (
        200,
        {
            "sid": bob.sid,
            "identity": "bob",
            "friendly_name": "Bob",
            "attributes": '{"a": 1}',
            "sync_objects": {"user_info_map": f"{bob.sid}.info"},
            "links": {"self": url, "user_conversations": f"{url}/Conversations"},
        },
    )
    assert alice.call("GET", url) == answer
    assert alice.call("GET", "/Users/carol").error == (404, 20404)


def test_user_changes_itself_and_with_permission_others(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    ChatUser(embedded, "bob")
    for sid in ("alice", alice.sid):
        assert alice.call("POST", f"/Users/{sid}", {"friendly_name": sid}).body["friendly_name"] == sid
    assert alice.call("POST", "/Users/alice", {"attributes": '{"a": 1}'}).body["attributes"] == '{"a": 1}'
    assert alice.call("POST", "/Users/bob", {"friendly_name": "x"}).error == (403, 50107)
    assert alice.call("POST", "/Users/carol", {"friendly_name": "x"}).error == (404, 20404)
    role_sid = role_with(embedded, "service", "editAnyUserInfo")
    embedded.client().conversations.v1.users("alice").update(role_sid=role_sid)
    assert alice.call("POST", "/Users/bob", {"friendly_name": "x"}).body["friendly_name"] == "x"


def test_user_does_not_change_its_role(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    users = embedded.client().conversations.v1.users
    before = users("alice").fetch().role_sid
    alice.call("POST", "/Users/alice", {"role_sid": role_with(embedded, "service", "deleteAnyMessage")})
    assert users("alice").fetch().role_sid == before


def test_deleted_role_of_a_user_counts_as_the_default_of_the_service(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    v1 = embedded.client().conversations.v1
    role_sid = role_with(embedded, "service", "deleteAnyMessage")
    v1.users("alice").update(role_sid=role_sid)
    assert alice.call("POST", "/Conversations", {}).error == (403, 50107)
    v1.roles(role_sid).delete()
    assert alice.call("POST", "/Conversations", {}).status == 201


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"friendly_name": 5}, (400, 20001)),
        ({"friendly_name": "x" * 257}, (400, 50003)),
        ({"attributes": "{"}, (400, 50304)),
        ({"attributes": {}}, (400, 20001)),
    ],
)
def test_bad_input_has_the_codes_of_the_rest_api(
    alice: ChatUser, body: dict[str, object], error: tuple[int, int]
) -> None:
    assert alice.call("POST", "/Users/alice", body).error == error


def test_own_conversations_are_listed_in_pages(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sids = [chat_conversation(embedded, "alice") for _ in range(3)]
    chat_conversation(embedded, "bob")
    path, listed, token = f"/Users/{alice.sid}/Conversations", [], None
    for _ in range(2):
        params = {"PageSize": "2"} | ({"PageToken": token} if token else {})
        page = alice.call("GET", path, params=params).body
        listed += [each["conversation_sid"] for each in page["conversations"]]
        token = page["meta"]["next_token"]
    assert (sorted(listed), token) == (sorted(sids), None)
    whole = alice.call("GET", path).body
    assert whole["meta"] == {"previous_token": None, "next_token": None}
    assert {each["status"] for each in whole["conversations"]} == {"joined"}
    assert whole["conversations"][0] == alice.call("GET", alice.conversation(whole["conversations"][0]["sid"])).body


def test_page_token_of_another_user_is_refused(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    for _ in range(2):
        chat_conversation(embedded, "alice", "bob")
    page = alice.call("GET", f"/Users/{alice.sid}/Conversations", params={"PageSize": "1"}).body
    bob = ChatUser(embedded, "bob")
    params = {"PageToken": page["meta"]["next_token"]}
    assert bob.call("GET", f"/Users/{bob.sid}/Conversations", params=params).error == (400, 20001)
    assert alice.call("GET", f"/Users/{alice.sid}/Conversations", params={"PageSize": "x"}).error == (400, 20001)


def test_conversations_of_other_users_are_refused(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    bob, sid = ChatUser(embedded, "bob"), chat_conversation(embedded, "alice", "bob")
    for user in ("bob", bob.sid, "carol"):
        assert alice.call("GET", f"/Users/{user}/Conversations").error == (403, 50107)
        assert alice.call("GET", f"/Users/{user}/Conversations/{sid}").error == (403, 50107)
        assert alice.call("POST", f"/Users/{user}/Conversations/{sid}", {}).error == (403, 50107)


def test_own_conversation_is_fetched_by_sid_or_unique_name(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice", unique_name="order 1")
    path = f"/Users/{alice.sid}/Conversations"
    assert alice.call("GET", f"{path}/{sid}").body["conversation_sid"] == sid
    assert alice.call("GET", f"{path}/order%201").body["conversation_sid"] == sid
    assert alice.call("GET", f"{path}/{chat_conversation(embedded, 'bob')}").error == (403, 50430)
    assert alice.call("GET", f"{path}/unknown").error == (404, 20404)


def test_read_position_is_set_moved_back_and_cleared(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    for body in "abc":
        embedded.client().conversations.v1.conversations(sid).messages.create(body=body)
    path = f"/Users/{alice.sid}/Conversations/{sid}"
    for sent, index, unread in ((2, 2, 0), (0, 0, 2), ("1", 1, 1), (99, 2, 0), (None, None, None)):
        answer = alice.call("POST", path, {"last_read_message_index": sent})
        found = (answer.body["last_read_message_index"], answer.body["unread_messages_count"])
        assert (answer.status, found) == (200, (index, unread))
        assert alice.call("GET", path).body == answer.body


def test_notification_level_is_set(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    path = f"/Users/{alice.sid}/Conversations/{chat_conversation(embedded, 'alice')}"
    assert alice.call("POST", path, {"notification_level": "muted"}).body["notification_level"] == "muted"
    assert alice.call("POST", path, {}).body["notification_level"] == "muted"


def test_notification_level_needs_a_permission_and_a_read_position_needs_none(
    embedded: EmbeddedInstance, alice: ChatUser
) -> None:
    sid, role_sid = chat_conversation(embedded, "alice"), role_with(embedded, "conversation", "sendMessage")
    embedded.client().conversations.v1.conversations(sid).participants("alice").update(role_sid=role_sid)
    path = f"/Users/{alice.sid}/Conversations/{sid}"
    assert alice.call("POST", path, {"notification_level": "muted"}).error == (403, 50107)
    assert alice.call("POST", path, {"last_read_message_index": None}).status == 200


def test_conversation_of_others_has_no_read_position(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    path = f"/Users/{alice.sid}/Conversations/{chat_conversation(embedded, 'bob')}"
    assert alice.call("POST", path, {"last_read_message_index": 0}).error == (403, 50430)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"last_read_message_index": -1}, (400, 50421)),
        ({"last_read_message_index": 1.5}, (400, 50421)),
        ({"last_read_message_index": True}, (400, 50421)),
        ({"last_read_message_index": "x"}, (400, 50421)),
        ({"last_read_message_index": {}}, (400, 50421)),
        ({"notification_level": "loud"}, (400, 50210)),
        ({"notification_level": None}, (400, 50210)),
        ({"notification_level": []}, (400, 50210)),
    ],
)
def test_bad_read_state_has_the_codes_of_the_rest_api(
    embedded: EmbeddedInstance, alice: ChatUser, body: dict[str, object], error: tuple[int, int]
) -> None:
    path = f"/Users/{alice.sid}/Conversations/{chat_conversation(embedded, 'alice')}"
    assert alice.call("POST", path, body).error == error


def test_webhook_requests_name_source_and_identity(embedded: EmbeddedInstance, alice: ChatUser) -> None:
    sid = chat_conversation(embedded, "alice")
    receive_webhooks(embedded, "onUserUpdate", "onUserUpdated", "onParticipantUpdate", "onParticipantUpdated")
    alice.call("POST", "/Users/alice", {"friendly_name": "Alice"})
    alice.call("POST", f"/Users/{alice.sid}/Conversations/{sid}", {"notification_level": "muted"})
    received = [(each["EventType"], each["Source"], each["ClientIdentity"]) for each in received_webhooks(embedded)]
    names = ("onParticipantUpdate", "onParticipantUpdated", "onUserUpdate", "onUserUpdated")
    assert sorted(received) == [(name, "SDK", "alice") for name in names]
    embedded.receivers.statuses = [403]
    assert alice.call("POST", "/Users/alice", {"friendly_name": "x"}).error == (400, 50056)
    assert alice.call("GET", "/Users/alice").body["friendly_name"] == "Alice"
