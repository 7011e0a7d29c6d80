"""Chat clients read Sync objects, which Convoke computes from its own resources.

The resources are conversations, participants, messages and Users.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from convoke.domain.errors import ConversationsError, NotAParticipantError, SyncObjectNotFoundError
from convoke.domain.event_ids import to_event_id
from convoke.domain.sync_objects import Action, ObjectKind, object_of_sid
from convoke.domain.users import user_sid
from convoke.operations import sync
from convoke.operations.request_webhooks import LaterWebhooks
from convoke.operations.sync import ItemsRequest
from convoke.storage import keys
from convoke.storage.events import change_of
from convoke.storage.table import Put, Set, Update
from tests.support.chat_users import CHAT_ORIGIN, ChatResponse, ChatUser
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.sync import SyncReader

ALICE_AND_BOB = ('{"identity": "alice"}', '{"identity": "bob"}')

LONG_AGO = 1_000_000
"""An event id that is older than every stored record of a removal."""

STORED_BEFORE_0154 = Path(__file__).parents[1] / "unit/stored/before_0154.json"


@pytest.fixture(autouse=True)
def no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each replay start exactly at the event that the client names.

    A replay contains the events of a Sync object that a client has missed. A replay usually starts REPLAY_MARGIN
    (5 seconds) earlier. A test takes less time than that, so each replay would contain all changes of the test.
    """
    monkeypatch.setattr(sync, "REPLAY_MARGIN", 0)


def conversation_with(instance: Instance, *identities: str) -> Any:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create(friendly_name="visit", unique_name="visit", attributes='{"a": 1}').sid
    for identity in identities:
        v1.conversations(sid).participants.create(identity=identity)
    return v1.conversations(sid)


def send(conversation: Any, count: int, author: str = "bob") -> list[Any]:
    return [conversation.messages.create(author=author, body=f"body {number}") for number in range(count)]


def next_millisecond() -> None:
    """Wait two milliseconds. Later changes, even in other conversations, then have greater event ids."""
    time.sleep(0.002)


def refusal_of(reader: SyncReader, name: str) -> type[ConversationsError]:
    """Try every kind of read. Return the type of the errors, which must be the same for all reads."""
    found = set()
    for read in (reader.event_id, reader.items, lambda each: reader.replay(each, LONG_AGO)):
        with pytest.raises(ConversationsError) as refused:
            read(name)
        found.add(refused.type)
    (only,) = found
    return only


# Content of the objects.


@pytest.mark.each_engine
def test_document_of_a_conversation(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice")
    last = send(conversation, 2)[1]
    reader = SyncReader(instance, "alice")
    root = reader.sync.root(reader.service, "alice", reader.object(f"{last.conversation_sid}.channel"))
    sid, data = last.conversation_sid, root.data
    assert data is not None
    assert data["state"]["current"] == "active"
    assert data["lastMessage"]["index"] == 1
    assert {name: data[name] for name in ("friendlyName", "uniqueName", "attributes", "createdBy", "bindings")} == {
        "friendlyName": "visit",
        "uniqueName": "visit",
        "attributes": '{"a": 1}',
        "createdBy": "system",
        "bindings": {},
    }
    assert (data["messages"], data["roster"]) == (f"{sid}.messages", f"{sid}.roster")
    assert set(data) == {
        *("friendlyName", "uniqueName", "attributes", "createdBy", "dateCreated", "dateUpdated"),
        *("messages", "roster", "state", "lastMessage", "bindings"),
    }


def test_date_of_the_state_is_the_date_of_its_last_change(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    reader = SyncReader(instance, "alice")
    sid = conversation.fetch().sid

    def date() -> str:
        root = reader.sync.root(reader.service, "alice", reader.object(f"{sid}.channel"))
        assert root.data is not None
        return str(root.data["state"]["dateUpdated"])

    created = date()
    conversation.update(friendly_name="renamed")
    assert date() == created
    conversation.update(state="inactive")
    changed = date()
    assert changed > created
    conversation.update(friendly_name="renamed again")
    assert date() == changed


@pytest.mark.each_engine
def test_items_of_participants_and_conversations(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice")
    phone = conversation.participants.create(
        messaging_binding_address="+15558675310", messaging_binding_proxy_address="+15017122661"
    )
    send(conversation, 3)
    alice = conversation.participants("alice").update(last_read_message_index=1)
    reader, sid = SyncReader(instance, "alice"), alice.conversation_sid
    roster = reader.items(f"{sid}.roster")
    assert list(roster) == sorted([alice.sid, phone.sid])
    mine = roster[alice.sid]
    assert (mine["identity"], mine["type"], mine["lastConsumedMessageIndex"]) == ("alice", "chat", 1)
    assert mine["userInfo"] == f"{reader.user_sid}.info"
    assert (roster[phone.sid]["type"], roster[phone.sid]["userInfo"]) == ("sms", None)
    assert set(mine) == {
        *("identity", "attributes", "dateCreated", "dateUpdated", "roleSid", "type", "userInfo", "bindings"),
        *("lastConsumedMessageIndex", "lastConsumptionTimestamp"),
    }
    (channels,) = reader.items("alice.channels").values()
    assert (channels["status"], channels["lastConsumedMessageIndex"]) == ("joined", 1)
    assert channels["notificationLevel"] == "default"
    assert (channels["channel"], channels["messages"]) == (f"{sid}.channel", f"{sid}.messages")


def test_items_of_messages_and_who_edited_them(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    first, second = send(conversation, 2, "alice")
    conversation.messages(first.sid).update(body="edited by the account")
    user = ChatUser(instance, "alice")
    sid = first.conversation_sid
    assert user.call("POST", f"/Conversations/{sid}/Messages/{second.sid}", {"body": "edited"}).status == 200
    reader = SyncReader(instance, "alice")
    items = reader.items(f"{sid}.messages")
    assert [items[key]["lastUpdatedBy"] for key in ("0", "1")] == ["system", "alice"]
    third = send(conversation, 1, "alice")[0]
    item = reader.items(f"{sid}.messages")["2"]
    assert item == {
        "sid": third.sid,
        "text": "body 0",
        "type": "text",
        "author": "alice",
        "subject": None,
        "contentSid": None,
        "attributes": "{}",
        "timestamp": item["timestamp"],
        "dateUpdated": item["timestamp"],
        "lastUpdatedBy": None,
        "memberSid": third.participant_sid,
        "medias": [],
        "delivery": None,
        "channelMetadata": False,
    }


@pytest.mark.each_engine
def test_map_of_a_user_has_three_items_in_lexical_order(instance: Instance) -> None:
    conversation_with(instance, "alice")
    reader = SyncReader(instance, "alice")
    instance.client().conversations.v1.users("alice").update(friendly_name="Alice", attributes='{"b": 2}')
    items = reader.items(f"{reader.user_sid}.info")
    assert list(items) == ["attributes", "friendlyName", "reachability"]
    assert items["friendlyName"] == {"value": "Alice"}
    assert items["attributes"] == {"value": '{"b": 2}'}
    assert items["reachability"] == {"online": False, "notifiable": False}


# Permissions to read an object.


@pytest.mark.each_engine
def test_objects_of_a_conversation_are_for_its_participants(instance: Instance) -> None:
    sid = conversation_with(instance, "alice").fetch().sid
    conversation_with_bob = instance.client().conversations.v1.conversations.create().sid
    instance.client().conversations.v1.conversations(conversation_with_bob).participants.create(identity="bob")
    bob = SyncReader(instance, "bob")
    for kind in ("channel", "messages", "roster"):
        name = f"{sid}.{kind}"
        if kind != "channel":
            SyncReader(instance, "alice").items(name)
        with pytest.raises(NotAParticipantError):
            bob.event_id(name)
        with pytest.raises(NotAParticipantError):
            bob.replay(name, None)
        with pytest.raises((NotAParticipantError, SyncObjectNotFoundError)):
            bob.items(name)


@pytest.mark.parametrize("name", ["CH" + "0" * 32 + ".roster", "alice.channels", "US" + "0" * 32 + ".info", "other"])
def test_objects_that_a_user_must_not_know_do_not_exist(instance: EmbeddedInstance, name: str) -> None:
    conversation_with(instance, "alice", "bob")
    assert refusal_of(SyncReader(instance, "bob"), name) is SyncObjectNotFoundError


@pytest.mark.each_engine
def test_objects_of_a_deleted_conversation_do_not_exist(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice")
    sid = conversation.fetch().sid
    conversation.delete()
    assert refusal_of(SyncReader(instance, "alice"), f"{sid}.roster") is SyncObjectNotFoundError


def test_objects_of_another_service_do_not_exist(instance: EmbeddedInstance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="other").sid
    sid = v1.services(service).conversations.create().sid
    v1.services(service).conversations(sid).participants.create(identity="alice")
    conversation_with(instance, "alice")
    reader = SyncReader(instance, "alice")
    assert refusal_of(reader, f"{sid}.messages") is SyncObjectNotFoundError
    assert refusal_of(reader, f"{user_sid(service, 'alice')}.info") is SyncObjectNotFoundError
    assert len(reader.items("alice.channels")) == 1


@pytest.mark.each_engine
def test_conversation_is_invisible_until_its_participants_are_added(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation_with(instance, "alice")
    reader = SyncReader(instance, "alice")
    before = reader.event_id("alice.channels")
    next_millisecond()
    sid = v1.conversation_with_participants.create(participant=ALICE_AND_BOB).sid
    with pytest.raises(SyncObjectNotFoundError):
        reader.event_id(f"{sid}.roster")
    assert sid not in reader.items("alice.channels")
    instance.work()
    assert len(reader.items(f"{sid}.roster")) == 2
    assert reader.missed("alice.channels", before) == [(Action.ADDED, sid)]
    assert (Action.ADDED, sid) in [(event.action, event.key) for event in reader.events("alice.channels")]


def test_members_miss_a_conversation_that_became_visible_long_after_its_request(
    instance: EmbeddedInstance,
) -> None:
    """The participants have the date of the request, which is earlier than the client's last event.

    But the conversation becomes visible only after the client's last event. Therefore the replay must contain the
    conversation.
    """
    v1 = instance.client().conversations.v1
    other = conversation_with(instance, "alice")
    sid = v1.conversation_with_participants.create(participant=ALICE_AND_BOB).sid
    other.participants("alice").update(attributes='{"later": true}')
    reader = SyncReader(instance, "alice")
    seen = reader.event_id("alice.channels")
    next_millisecond()
    instance.work()
    assert reader.missed("alice.channels", seen) == [(Action.ADDED, sid)]


# Pages.


def in_pages(user: ChatUser, path: str, **params: str) -> ChatResponse:
    answer = user.call("GET", f"{CHAT_ORIGIN}{path}", params=params)
    assert answer.status == 200
    return answer


@pytest.mark.parametrize("size", ["0", "-1", "x", "9" * 5000])
def test_page_size_must_be_a_positive_integer(instance: EmbeddedInstance, size: str) -> None:
    items = f"/v3/Lists/{conversation_with(instance, 'alice').fetch().sid}.messages/Items"
    answer = ChatUser(instance, "alice").call("GET", f"{CHAT_ORIGIN}{items}", params={"PageSize": size})
    assert answer.error == (400, 20001)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_older_clients_follow_tokens_in_both_directions(instance: EmbeddedInstance, order: str) -> None:
    conversation = conversation_with(instance, "alice")
    send(conversation, 5)
    user = ChatUser(instance, "alice")
    items = f"/v3/Lists/{conversation.fetch().sid}.messages/Items"
    expected = [0, 1, 2, 3, 4] if order == "asc" else [4, 3, 2, 1, 0]
    page = in_pages(user, items, PageSize="2", Order=order)
    assert page.body["meta"]["previous_token"] is None
    forward = [item["index"] for item in page.body["items"]]
    while token := page.body["meta"]["next_token"]:
        page = in_pages(user, items, PageSize="2", PageToken=token)
        forward += [item["index"] for item in page.body["items"]]
    assert forward == expected
    backward: list[int] = []
    while token := page.body["meta"]["previous_token"]:
        page = in_pages(user, items, PageSize="2", PageToken=token)
        backward = [item["index"] for item in page.body["items"]] + backward
    assert backward == expected[:4]


def test_newer_clients_ask_from_a_key(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    send(conversation, 5)
    user, sid = ChatUser(instance, "alice"), conversation.fetch().sid

    def page(**params: str) -> tuple[list[int], bool, bool]:
        body = in_pages(user, f"/v3/Lists/{sid}.messages/Items", **params).body
        meta = body["meta"]
        return [item["index"] for item in body["items"]], bool(meta["previous_token"]), bool(meta["next_token"])

    assert page(From="1", PageSize="2", Order="asc") == ([1, 2], True, True)
    assert page(From="0", PageSize="9", Order="asc") == ([0, 1, 2, 3, 4], False, False)
    assert page(From="3", PageSize="2", Order="desc") == ([3, 2], True, True)
    assert page(From="9", PageSize="2", Order="desc") == ([4, 3], False, True)
    assert page(From="9", PageSize="2", Order="asc") == ([], True, False)
    assert page(Index="2") == ([2], False, False)
    assert page(Index="9") == ([], False, False)
    conversation.messages.list()[2].delete()
    assert page(Index="2") == ([], False, False)
    assert page(From="2", PageSize="2", Order="asc") == ([3, 4], True, False)


@pytest.mark.each_engine
def test_maps_are_read_in_lexical_order_and_from_a_key(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sids = sorted(v1.conversations.create().sid for _ in range(4))
    for sid in sids:
        v1.conversations(sid).participants.create(identity="alice")
    reader = SyncReader(instance, "alice")
    assert list(reader.items("alice.channels")) == sids
    assert list(reader.items("alice.channels", 2, start=sids[1])) == sids[1:3]
    assert list(reader.items("alice.channels", 2, start=sids[2], forward=False)) == [sids[2], sids[1]]
    assert list(reader.items("alice.channels", 2, before=sids[3])) == sids[1:3]
    channels = reader.object("alice.channels")
    item = reader.sync.item(reader.service, "alice", channels, sids[3])
    assert item is not None
    assert item.key == sids[3]
    assert reader.sync.item(reader.service, "alice", channels, "CH" + "f" * 32) is None


@pytest.mark.parametrize(
    "params",
    [{"Order": "up"}, {"PageSize": "0"}, {"PageSize": "many"}, {"From": "x"}, {"PageToken": "x"}, {"Index": "-1"}],
    ids=lambda params: next(iter(params)),
)
def test_wrong_parameters_of_a_page_are_refused(instance: EmbeddedInstance, params: dict[str, str]) -> None:
    sid = conversation_with(instance, "alice").fetch().sid
    user = ChatUser(instance, "alice")
    answer = user.call("GET", f"{CHAT_ORIGIN}/v3/Lists/{sid}.messages/Items", params=params)
    assert answer.status == 400


def test_objects_are_found_by_name_and_by_sid_and_only_under_their_type(instance: EmbeddedInstance) -> None:
    sid = conversation_with(instance, "alice").fetch().sid
    user = ChatUser(instance, "alice")
    names = {
        f"/v3/Documents/{sid}.channel": ObjectKind.CHANNEL,
        f"/v3/Lists/{sid}.messages": ObjectKind.MESSAGES,
        f"/v3/Maps/{sid}.roster": ObjectKind.ROSTER,
        "/v3/Maps/alice.channels": ObjectKind.CHANNELS,
        f"/v3/Maps/{user.sid}.info": ObjectKind.INFO,
    }
    for path, kind in names.items():
        root = in_pages(user, path).body
        found = object_of_sid(root["sid"])
        assert found is not None
        assert found.kind is kind
        assert in_pages(user, path.rpartition("/")[0] + "/" + root["sid"]).body == root
        assert user.call("GET", CHAT_ORIGIN + path.replace("Maps", "Lists").replace("Documents", "Maps")).status in (
            (404,) if kind is not ObjectKind.MESSAGES else (200,)
        )
    included = in_pages(user, f"/v3/Maps/{user.sid}.info", Include="items").body["items"]
    assert [item["key"] for item in included] == ["attributes", "friendlyName", "reachability"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_clients_cannot_write_sync_objects(instance: EmbeddedInstance, method: str) -> None:
    sid = conversation_with(instance, "alice").fetch().sid
    user = ChatUser(instance, "alice")
    for path in (f"/v3/Lists/{sid}.messages", f"/v3/Lists/{sid}.messages/Items/0", "/v3/Maps", f"/v3/Documents/{sid}"):
        assert user.call(method, CHAT_ORIGIN + path).error == (403, 20006)


# Replays.


@pytest.mark.each_engine
def test_replay_has_events_for_new_edited_and_deleted_messages(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice")
    messages = send(conversation, 3)
    name, reader = f"{messages[0].conversation_sid}.messages", SyncReader(instance, "alice")
    seen = reader.event_id(name)
    assert reader.missed(name, seen) == []
    conversation.messages(messages[0].sid).update(body="edited")
    conversation.messages(messages[1].sid).delete()
    send(conversation, 1)
    assert reader.missed(name, seen) == [(Action.UPDATED, "0"), (Action.REMOVED, "1"), (Action.ADDED, "3")]
    assert reader.missed(name, reader.event_id(name)) == []


@pytest.mark.each_engine
def test_replay_has_events_for_participants_who_joined_changed_and_left(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice", "bob", "carol")
    alice, bob, carol = conversation.participants.list()
    name, reader = f"{alice.conversation_sid}.roster", SyncReader(instance, "alice")
    seen = reader.event_id(name)
    assert reader.missed(name, seen) == []
    bob.delete()
    conversation.participants(carol.sid).update(attributes='{"c": 3}')
    dave = conversation.participants.create(identity="dave")
    conversation.participants(alice.sid).update(last_read_timestamp="2026-01-02T03:04:05Z")
    assert reader.missed(name, seen) == [
        (Action.REMOVED, bob.sid),
        (Action.UPDATED, carol.sid),
        (Action.ADDED, dave.sid),
        (Action.UPDATED, alice.sid),
    ]


@pytest.mark.each_engine
def test_replay_has_events_for_conversations_that_a_user_left_or_that_were_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    left, deleted, erased, kept, again = (v1.conversations.create().sid for _ in range(5))
    for sid in (left, deleted, erased, kept, again):
        v1.conversations(sid).participants.create(identity="alice")
    reader = SyncReader(instance, "alice")
    seen = reader.event_id("alice.channels")
    next_millisecond()
    v1.conversations(erased).delete()
    instance.sweep(timedelta(seconds=1))
    next_millisecond()
    v1.conversations(left).participants("alice").delete()
    next_millisecond()
    v1.conversations(deleted).delete()
    next_millisecond()
    v1.conversations(again).participants("alice").delete()
    v1.conversations(again).participants.create(identity="alice")
    assert reader.missed("alice.channels", seen) == [
        (Action.REMOVED, erased),
        (Action.REMOVED, left),
        (Action.REMOVED, deleted),
        (Action.ADDED, again),
    ]
    assert sorted(reader.items("alice.channels")) == sorted([kept, again])
    assert reader.missed("alice.channels", reader.event_id("alice.channels")) == []


def test_replay_has_one_removal_although_the_user_left_several_times(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice", "bob")
    reader = SyncReader(instance, "alice")
    seen = reader.event_id("alice.channels")
    next_millisecond()
    for _ in range(2):
        conversation.participants("alice").delete()
        conversation.participants.create(identity="alice")
    conversation.participants("alice").delete()
    assert reader.missed("alice.channels", seen) == [(Action.REMOVED, conversation.fetch().sid)]


def test_identity_that_was_removed_from_a_participant_leaves_the_map(instance: EmbeddedInstance) -> None:
    """When a User is deleted, Convoke removes the participants of the User.

    If the removal of a participant would give two group MMS the same numbers, Convoke removes only the identity of the
    participant. The participant stays in the group with its projected address.
    """
    participants = conversation_with(instance).participants
    participants.create(messaging_binding_address="+15558675310")
    alice = participants.create(identity="alice", messaging_binding_projected_address="+15017122661")
    reader, sid = SyncReader(instance, "alice"), alice.conversation_sid
    seen = reader.event_id("alice.channels")
    next_millisecond()
    instance.engine.program.participants.remove_identity(
        reader.service, sid, alice.sid, request_webhooks=LaterWebhooks(enabled=False)
    )
    assert reader.missed("alice.channels", seen) == [(Action.REMOVED, sid)]
    assert (Action.REMOVED, sid) in [(event.action, event.key) for event in reader.events("alice.channels")]


def test_interrupted_replay_loses_no_message_that_follows_an_edited_one(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "REPLAY_BATCH", 2)
    conversation = conversation_with(instance, "alice")
    name, reader = f"{conversation.fetch().sid}.messages", SyncReader(instance, "alice")
    since = reader.event_id(name)
    first = send(conversation, 5)[0]
    conversation.messages(first.sid).update(body="edited")
    found: list[tuple[Action, str | None]] = []
    while not (replay := reader.replay(name, since)).is_complete:
        found += [(event.action, event.key) for event in replay.events]
        # The client's next request asks for the events after `last_event_id`.
        assert replay.last_event_id == max(event.event_id for event in replay.events) > since
        since = replay.last_event_id
    found += [(event.action, event.key) for event in replay.events]
    assert found == [*((Action.ADDED, str(index)) for index in range(5)), (Action.UPDATED, "0")]


@pytest.mark.each_engine
def test_long_replay_of_messages_starts_at_the_first_missed_one(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "RECENT_MESSAGES", 2)
    monkeypatch.setattr(sync, "MESSAGES_PER_READ", 3)
    conversation = conversation_with(instance, "alice")
    messages = send(conversation, 8)
    name, reader = f"{messages[0].conversation_sid}.messages", SyncReader(instance, "alice")
    seen = reader.event_id(name)
    send(conversation, 9)
    # The search for the first missed message must work although some messages are deleted.
    for message in conversation.messages.list()[7:10]:
        message.delete()
    added = [key for action, key in reader.missed(name, seen) if action is Action.ADDED]
    assert added == [str(index) for index in range(10, 17)]


def test_replay_has_events_for_recent_messages_whose_receipts_changed(instance: EmbeddedInstance) -> None:
    """A new status of a receipt changes the message, but the stored changes that a replay reads do not show this.

    Therefore the replay must compare the event ids of recent messages with the last event id that the client has seen.
    """
    conversation = conversation_with(instance, "alice")
    conversation.participants.create(
        messaging_binding_address="+15558675310", messaging_binding_proxy_address="+15017122661"
    )
    message = send(conversation, 3)[1]
    name, reader = f"{message.conversation_sid}.messages", SyncReader(instance, "alice")
    seen = reader.event_id(name)
    assert reader.missed(name, seen) == []
    key = keys.message(instance.account.sid, message.conversation_sid, message.sid)
    instance.table.update(Update(key, (Set("event_id", seen + 1), Set("created_event_id", seen - 1))))
    assert reader.missed(name, seen) == [(Action.UPDATED, "1")]


def test_replay_has_one_event_for_an_edited_recent_message(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    message = send(conversation, 1)[0]
    name, reader = f"{message.conversation_sid}.messages", SyncReader(instance, "alice")
    seen = reader.event_id(name)
    conversation.messages(message.sid).update(body="edited")
    assert reader.missed(name, seen) == [(Action.UPDATED, "0")]


def test_replay_without_an_event_id_covers_the_last_seconds(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = conversation_with(instance, "alice")
    send(conversation, 1)
    name, reader = f"{conversation.fetch().sid}.messages", SyncReader(instance, "alice")
    assert reader.missed(name, None) == []
    monkeypatch.setattr(sync, "REPLAY_MARGIN", 60_000_000)
    assert reader.missed(name, None) == [(Action.ADDED, "0")]


@pytest.mark.each_engine
def test_replay_of_a_document_and_of_a_user(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice", "bob")
    alice = SyncReader(instance, "alice")
    bob = user_sid(alice.service.sid, "bob")
    channel, info = f"{conversation.fetch().sid}.channel", f"{bob}.info"
    seen_channel, seen_info = alice.event_id(channel), alice.event_id(info)
    assert alice.missed(channel, seen_channel) == []
    assert alice.missed(info, seen_info) == [(Action.UPDATED, "reachability")]
    conversation.update(friendly_name="renamed")
    instance.client().conversations.v1.users(bob).update(friendly_name="Bob")
    assert alice.missed(channel, seen_channel) == [(Action.UPDATED, None)]
    assert set(alice.missed(info, seen_info)) == {
        (Action.UPDATED, "friendlyName"),
        (Action.UPDATED, "attributes"),
        (Action.UPDATED, "reachability"),
    }


def test_document_changes_with_its_conversation_and_its_last_message(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    reader, name = SyncReader(instance, "alice"), f"{conversation.fetch().sid}.channel"
    assert reader.events(name) == []
    conversation.update(friendly_name="renamed")
    send(conversation, 2)
    conversation.participants("alice").update(last_read_message_index=0)
    events = reader.events(name)
    assert [event.action for event in events] == [Action.UPDATED] * 3
    assert {event.data and event.data["lastMessage"]["index"] for event in events} == {1}


# Changes without an event for webhooks.


@pytest.mark.each_engine
def test_deletion_of_a_user_touches_its_map_and_notifies_nobody(instance: Instance) -> None:
    conversation_with(instance, "alice")
    reader = SyncReader(instance, "alice")
    instance.client().conversations.v1.users("alice").delete()
    (removed,) = [event for event in reader.events(f"{reader.user_sid}.info") if event.action is Action.REMOVED]
    assert removed.key is None
    assert not [event for change in instance.changes() for event in change["events"] if "Removed" in event["type"]]


@pytest.mark.each_engine
def test_deletion_of_a_conversation_touches_its_objects_and_the_map_of_each_member(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice", "bob")
    sid = conversation.fetch().sid
    conversation.delete()
    reader = SyncReader(instance, "alice")
    for name in (f"{sid}.channel", f"{sid}.messages", f"{sid}.roster"):
        assert (Action.REMOVED, None) in [(event.action, event.key) for event in reader.events(name)]
    for identity in ("alice", "bob"):
        events = SyncReader(instance, identity).events(f"{identity}.channels")
        assert [(event.action, event.key) for event in events] == [(Action.REMOVED, sid)]


def test_notification_level_touches_the_map_of_its_user(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, "alice")
    sid = conversation.fetch().sid
    reader = SyncReader(instance, "alice")
    seen = reader.event_id("alice.channels")
    next_millisecond()
    instance.client().conversations.v1.users("alice").user_conversations(sid).update(notification_level="muted")
    replay = reader.replay("alice.channels", seen)
    assert [event.data and event.data["notificationLevel"] for event in replay.events] == ["muted"]


# Races.


def test_event_ids_of_a_conversation_grow_when_two_processes_change_it(tmp_path: Path) -> None:
    """The clock of `other` is an hour behind the clock of `one`."""
    data = str(tmp_path / "convoke.db")
    behind = ManualClock()
    behind.move(timedelta(hours=-1))
    with held_instance(data) as one, held_instance(data, now=behind.now) as other:
        conversation = conversation_with(one, "alice", "bob")
        sid = conversation.fetch().sid

        def change(number: int) -> None:
            mine = (one, other)[number % 2].client().conversations.v1.conversations(sid)
            send(mine, 1)
            mine.participants(("alice", "bob")[number % 2]).update(last_read_message_index=0)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(change, range(16)))
        reader = SyncReader(one, "alice")
        page = reader.sync.items(reader.service, "alice", reader.object(f"{sid}.messages"), ItemsRequest(100))
        ids = [item.event_id for item in page.items]
        assert len(ids) == 16
        assert all(earlier < later for earlier, later in pairwise(ids))
        assert reader.event_id(f"{sid}.messages") == ids[-1]
        last: dict[str | None, int] = {}
        for item in one.items("change"):
            found = change_of(item)
            for touch in found.touches:
                if touch.object.kind is ObjectKind.ROSTER and touch.key:
                    last[touch.key] = max(last.get(touch.key, 0), found.last_event_id)
        roster = reader.sync.items(reader.service, "alice", reader.object(f"{sid}.roster"), ItemsRequest(100))
        assert {item.key: item.event_id for item in roster.items} == last


def test_event_ids_of_a_message_grow_after_a_receipt_from_a_process_whose_clock_is_ahead(instance: Instance) -> None:
    conversation = conversation_with(instance, "alice")
    message = send(conversation, 1)[0]
    reader = SyncReader(instance, "alice")
    name = f"{message.conversation_sid}.messages"
    ahead = reader.event_id(name) + 3_600_000_000
    key = keys.message(instance.account.sid, message.conversation_sid, message.sid)
    instance.table.update(Update(key, (Set("event_id", ahead),)))
    conversation.messages(message.sid).update(body="edited")
    edited = reader.events(name)[-1].event_id
    instance.table.update(Update(key, (Set("event_id", 2 * ahead),)))
    conversation.messages(message.sid).delete()
    assert ahead < edited < 2 * ahead < reader.events(name)[-1].event_id


# Items of other versions.


def test_items_of_the_version_before_decision_0154_are_read(instance: EmbeddedInstance) -> None:
    """These items have no event ids. Convoke computes the event ids from the items' dates."""
    account_sid, service_sid = instance.account.sid, instance.account.default_chat_service_sid
    text = STORED_BEFORE_0154.read_text()
    stored = json.loads(text)
    (user,) = [item for item in stored if item["sk"] == "user"]
    for old, new in (
        (user["account_sid"], account_sid),
        (user["sid"], user_sid(service_sid, "alice")),
        (user["chat_service_sid"], service_sid),
    ):
        text = text.replace(old, new)
    items = json.loads(text)
    instance.table.transact([Put(item) for item in items])
    reader = SyncReader(instance, "alice")
    (sid,) = reader.items("alice.channels")
    channels = reader.items("alice.channels")[sid]
    assert channels["createdBy"] == "system"
    assert [item["text"] for item in reader.items(f"{sid}.messages").values()] == ["hello", "edited", "last"]
    assert len(reader.items(f"{sid}.roster")) == 1
    dates = {item["sk"]: datetime.fromisoformat(item["date_updated"]) for item in items if "date_updated" in item}
    assert reader.event_id(f"{sid}.channel") == to_event_id(dates["conversation"])
    name = f"{sid}.messages"
    assert reader.missed(name, LONG_AGO) == [(Action.ADDED, str(index)) for index in range(3)]
    send(instance.client().conversations.v1.conversations(sid), 1)
    assert reader.missed(name, to_event_id(dates["conversation"]))[-1] == (Action.ADDED, "3")
