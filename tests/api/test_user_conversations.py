"""Clients list, fetch, update and delete the conversations of a User. See docs/behaviour/user-conversations.md."""

from __future__ import annotations

from typing import Any

import pytest

from convoke.domain.users import user_sid
from tests.support.instances import ORIGIN, refusal
from tests.support.trees import Tree

ALICE = '{"identity": "alice"}'


def of_alice(tree: Tree, sid: str) -> Any:
    return tree.client.users("alice").user_conversations(sid)


def send(tree: Tree, sid: str, count: int) -> None:
    for number in range(count):
        tree.client.conversations(sid).messages.create(body=str(number))


def test_conversation_of_a_user_has_expected_fields(tree: Tree) -> None:
    sid = tree.make(ALICE, friendly_name="Visit", unique_name="visit", attributes='{"a": 1}', timers_inactive="P1D")
    conversation = tree.call("GET", f"/Conversations/{sid}").body
    (member,) = tree.call("GET", f"/Conversations/{sid}/Participants").body["participants"]
    user = user_sid(tree.service_sid, "alice")
    url = f"{ORIGIN}{tree.path}/Conversations/{sid}"
    expected = {
        "account_sid": tree.instance.account.sid,
        "chat_service_sid": tree.service_sid,
        "conversation_sid": sid,
        "unread_messages_count": None,
        "last_read_message_index": None,
        "participant_sid": member["sid"],
        "user_sid": user,
        "friendly_name": "Visit",
        "conversation_state": "active",
        "timers": conversation["timers"],
        "attributes": '{"a": 1}',
        "date_created": conversation["date_created"],
        "date_updated": conversation["date_updated"],
        "created_by": "system",
        "notification_level": "default",
        "unique_name": "visit",
        "url": f"{ORIGIN}{tree.path}/Users/{user}/Conversations/{sid}",
        "links": {"participant": f"{url}/Participants/{member['sid']}", "conversation": url},
    }
    for path in (f"/Users/{user}/Conversations/{sid}", "/Users/alice/Conversations/visit"):
        shown = tree.call("GET", path).body
        assert shown == expected
        assert list(shown) == list(expected)
    assert tree.call("GET", "/Users/alice/Conversations").body["conversations"] == [expected]


@pytest.mark.each_engine
def test_list_has_every_conversation_in_order_of_sids_over_pages(tree: Tree) -> None:
    made = [tree.make(ALICE) for _ in range(5)]
    tree.make('{"identity": "bob"}')
    tree.client.conversations(made[1]).update(state="inactive")
    tree.client.conversations(made[2]).update(state="closed")
    user = tree.client.users("alice").user_conversations
    assert [each.conversation_sid for each in user.list()] == made
    assert [each.conversation_sid for each in user.list(page_size=2)] == made
    assert {each.conversation_state for each in user.list()} == {"active", "inactive", "closed"}
    meta = tree.call("GET", "/Users/alice/Conversations?PageSize=500").body["meta"]
    assert (meta["key"], meta["page_size"]) == ("conversations", 50)


@pytest.mark.each_engine
def test_unread_messages_are_counted_from_the_read_position(tree: Tree) -> None:
    sid = tree.make(ALICE)
    send(tree, sid, 4)
    alice = of_alice(tree, sid)
    assert alice.fetch().unread_messages_count is None
    shown = [
        (updated.last_read_message_index, updated.unread_messages_count)
        for updated in (alice.update(last_read_message_index=index) for index in (0, 3, 1, 99))
    ]
    assert shown == [(0, 3), (3, 0), (1, 2), (3, 0)]
    send(tree, sid, 2)
    (message, *_) = tree.client.conversations(sid).messages.list(order="desc")
    tree.client.conversations(sid).messages(message.sid).delete()
    assert alice.fetch().unread_messages_count == 2
    assert tree.client.conversations(sid).participants("alice").fetch().last_read_message_index == 3
    tree.client.conversations(sid).participants("alice").update(last_read_message_index="999")
    assert alice.fetch().unread_messages_count == 0
    for nothing in ("null", ""):
        alice.update(last_read_message_index=1)
        cleared = tree.call("POST", f"/Users/alice/Conversations/{sid}", {"LastReadMessageIndex": nothing}).body
        assert (cleared["last_read_message_index"], cleared["unread_messages_count"]) == (None, None)


def test_read_position_without_messages_is_removed(tree: Tree) -> None:
    assert of_alice(tree, tree.make(ALICE)).update(last_read_message_index=0).last_read_message_index is None


@pytest.mark.each_engine
def test_notification_level_and_timestamp_are_stored(tree: Tree) -> None:
    sid, other = tree.make(ALICE), tree.make(ALICE)
    assert of_alice(tree, sid).update(notification_level="muted").notification_level == "muted"
    answered = tree.call("POST", f"/Users/alice/Conversations/{sid}", {"LastReadTimestamp": "2026-01-02T03:04:05Z"})
    assert answered.body["notification_level"] == "muted"
    participant = tree.call("GET", f"/Conversations/{sid}/Participants/alice").body
    assert participant["last_read_timestamp"] == "2026-01-02T03:04:05Z"
    assert "notification_level" not in participant
    assert of_alice(tree, other).fetch().notification_level == "default"
    tree.client.conversations(sid).participants("alice").update(attributes="[]")
    assert of_alice(tree, sid).fetch().notification_level == "muted"
    assert of_alice(tree, sid).update(notification_level="DEFAULT").notification_level == "default"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"NotificationLevel": "loud"}, 50210),
        ({"NotificationLevel": ""}, 50210),
        ({"LastReadMessageIndex": "first"}, 50421),
        ({"LastReadMessageIndex": "-1"}, 50421),
        ({"LastReadTimestamp": "today"}, 20001),
    ],
)
def test_invalid_parameter_of_a_user_conversation_is_refused(tree: Tree, parameters: dict[str, str], code: int) -> None:
    path = f"/Users/alice/Conversations/{tree.make(ALICE)}"
    refused = tree.call("POST", path, parameters)
    assert (refused.status, refused.body["code"]) == (400, code)
    assert refused.body["details"]["parameter"] == next(iter(parameters))


@pytest.mark.each_engine
def test_only_members_and_existing_users_have_the_conversation(tree: Tree) -> None:
    sid = tree.make('{"identity": "bob"}')
    assert refusal(of_alice(tree, sid).fetch).code == 20404
    assert tree.call("GET", "/Users/alice/Conversations").body["code"] == 20404
    tree.client.users.create(identity="alice")
    assert tree.client.users("alice").user_conversations.list() == []
    for ask in (of_alice(tree, sid).fetch, of_alice(tree, sid).update, of_alice(tree, sid).delete):
        assert refusal(ask).code == 20404
    started = tree.client.conversation_with_participants.create(participant=[ALICE]).sid
    assert refusal(of_alice(tree, started).fetch).code == 20404
    tree.instance.work()
    assert of_alice(tree, started).fetch().conversation_state == "active"


def test_closed_conversation_refuses_a_read_position(tree: Tree) -> None:
    sid = tree.make(ALICE)
    tree.client.conversations(sid).update(state="closed")
    assert refusal(lambda: of_alice(tree, sid).update(notification_level="muted")).code == 50377


@pytest.mark.each_engine
def test_delete_removes_the_participant(tree: Tree) -> None:
    sid = tree.make(ALICE)
    hooks = {"post_webhook_url": "https://hooks.example.com/", "filters": ["onParticipantRemoved"]}
    tree.instance.client().conversations.v1.configuration.webhooks().update(**hooks)
    answered = tree.call("DELETE", f"/Users/alice/Conversations/{sid}", headers={"X-Twilio-Webhook-Enabled": "true"})
    assert answered.status == 204
    tree.instance.work()
    assert [delivery.event.payload["Identity"] for delivery in tree.instance.receivers.posted] == ["alice"]
    assert tree.client.conversations(sid).participants.list() == []
    assert refusal(of_alice(tree, sid).fetch).code == 20404
    assert tree.client.users("alice").fetch().identity == "alice"


# Concurrency


@pytest.mark.each_engine
def test_read_position_does_not_change_the_conversation(tree: Tree) -> None:
    sid = tree.make(ALICE)
    send(tree, sid, 1)
    (before,) = tree.instance.items("conversation")
    of_alice(tree, sid).update(last_read_message_index=0)
    of_alice(tree, sid).update(notification_level="muted")
    tree.client.conversations(sid).participants("alice").update(last_read_timestamp="2026-01-02T03:04:05Z")
    assert tree.instance.items("conversation") == [before]
    events = [event["type"] for change in tree.instance.changes() for event in change["events"]]
    assert events.count("onParticipantUpdated") == 3


@pytest.mark.each_engine
def test_concurrent_updates_of_read_position_and_attributes_both_take_effect(tree: Tree) -> None:
    sid = tree.make(ALICE)
    send(tree, sid, 1)
    hooks = {"pre_webhook_url": "https://hooks.example.com/", "filters": ["onParticipantUpdate"]}
    tree.instance.client().conversations.v1.configuration.webhooks().update(**hooks)
    enabled = {"X-Twilio-Webhook-Enabled": "true"}
    own, member = f"/Users/alice/Conversations/{sid}", f"/Conversations/{sid}/Participants/alice"
    read, changed = {"LastReadMessageIndex": "0"}, {"Attributes": "[1]"}

    def interrupted(first: tuple[str, dict[str, str]], second: tuple[str, dict[str, str]]) -> None:
        """Send the second request while the first request waits for an answer to its pre-event."""

        def meanwhile() -> None:
            tree.instance.receivers.on_call = lambda: None
            assert tree.call("POST", *second).status == 200

        tree.instance.receivers.on_call = meanwhile
        assert tree.call("POST", *first, enabled).status == 200

    interrupted((member, changed), (own, read))
    shown = tree.call("GET", member).body
    assert (shown["attributes"], shown["last_read_message_index"]) == ("[1]", 0)
    interrupted((own, {"NotificationLevel": "muted"}), (member, {"Attributes": "[2]"}))
    assert (tree.call("GET", member).body["attributes"], of_alice(tree, sid).fetch().notification_level) == (
        "[2]",
        "muted",
    )
    # Each event must contain the attributes that were stored when the event occurred.
    events = [event for change in tree.instance.changes() for event in change["events"]]
    assert sorted(event["payload"]["Attributes"] for event in events if event["type"] == "onParticipantUpdated") == [
        *("[1]", "[2]", "[2]", "{}"),
    ]


@pytest.mark.each_engine
def test_read_position_of_a_participant_that_is_deleted_meanwhile_stores_nothing(tree: Tree) -> None:
    sid = tree.make(ALICE)
    hooks = {"pre_webhook_url": "https://hooks.example.com/", "filters": ["onParticipantUpdate"]}
    tree.instance.client().conversations.v1.configuration.webhooks().update(**hooks)

    def meanwhile() -> None:
        tree.instance.receivers.on_call = lambda: None
        assert tree.call("DELETE", f"/Conversations/{sid}/Participants/alice").status == 204

    tree.instance.receivers.on_call = meanwhile
    refused = tree.call(
        "POST",
        f"/Users/alice/Conversations/{sid}",
        {"NotificationLevel": "muted"},
        {"X-Twilio-Webhook-Enabled": "true"},
    )
    assert refused.status == 404
    assert tree.instance.items("participant") == []
