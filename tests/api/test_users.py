"""Clients create, fetch, list and update Users. See docs/behaviour/users.md."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from convoke.domain.users import User, user_sid
from convoke.storage.first_sights import MAX_FIRST_SIGHT_ATTEMPTS, creation
from convoke.storage.table import Put
from convoke.storage.users import UserRepository
from tests.support.instances import ORIGIN, Answer, Instance, refusal
from tests.support.trees import Tree


def role(tree: Tree, name: str) -> str:
    configuration = tree.instance.call("GET", f"/v1/Services/{tree.service_sid}/Configuration").body
    return str(configuration[f"default_{name}_role_sid"])


def test_user_has_expected_fields_and_defaults(tree: Tree) -> None:
    created = tree.call("POST", "/Users", {"Identity": "alice"})
    url = f"{ORIGIN}{tree.path}/Users/{user_sid(tree.service_sid, 'alice')}"
    expected = {
        "sid": user_sid(tree.service_sid, "alice"),
        "account_sid": tree.instance.account.sid,
        "chat_service_sid": tree.service_sid,
        "role_sid": role(tree, "chat_service"),
        "identity": "alice",
        "friendly_name": None,
        "attributes": "{}",
        "is_online": None,
        "is_notifiable": None,
        "date_created": created.body["date_created"],
        "date_updated": created.body["date_created"],
        "url": url,
        "links": {"user_conversations": f"{url}/Conversations"},
    }
    assert (created.status, created.body) == (201, expected)
    assert list(created.body) == list(expected)
    assert tree.call("GET", f"/Users/{expected['sid']}").body == expected
    assert tree.call("GET", "/Users").body["users"] == [expected]


@pytest.mark.each_engine
def test_user_is_created_fetched_and_updated_by_sid_or_identity(tree: Tree) -> None:
    users = tree.client.users
    created = users.create(identity="alice", friendly_name="Alice", attributes='{ "a": "\\/" }')
    assert (created.friendly_name, created.attributes) == ("Alice", '{ "a": "\\/" }')
    assert users("alice").fetch().sid == users(created.sid).fetch().sid == created.sid
    updated = users("alice").update(friendly_name="Alice B.")
    assert (updated.friendly_name, updated.attributes) == ("Alice B.", created.attributes)
    assert users(created.sid.upper()).update(attributes="[]").attributes == "[]"
    fetched = users("alice").fetch()
    assert (fetched.friendly_name, fetched.attributes, fetched.identity) == ("Alice B.", "[]", "alice")
    assert users("alice").update().date_updated == fetched.date_updated


@pytest.mark.each_engine
def test_second_user_with_an_identity_is_refused(tree: Tree) -> None:
    tree.client.users.create(identity="alice", friendly_name="first")
    error = refusal(lambda: tree.client.users.create(identity="alice", friendly_name="second"))
    assert (error.status, error.code, error.details["parameter"]) == (409, 50201, "Identity")
    assert tree.client.users("alice").fetch().friendly_name == "first"
    assert tree.client.users.create(identity="Alice").sid != user_sid(tree.service_sid, "alice")


def interfere_before_each_creation(tree: Tree, monkeypatch: pytest.MonkeyPatch, *interferences: str) -> None:
    """Create and delete the User alice. Change the tombstone before later attempts to create alice.

    `interferences` has one element for each attempt: `erased`, `changed`, or an empty string for no change. Before
    further attempts, the tombstone does not change.
    """
    users, key = UserRepository(tree.instance.table), (tree.instance.account.sid, user_sid(tree.service_sid, "alice"))
    tree.client.users.create(identity="alice")
    assert tree.client.users("alice").delete()
    waiting = iter(interferences)

    def creation_after_interference(user: User) -> Put:
        interference, tombstone = next(waiting, ""), users.fetch_with_tombstone(*key)
        if tombstone and interference == "erased":
            users.erase(tombstone)
        elif tombstone and interference == "changed":
            users.update(tombstone, tombstone.model_copy(update={"attempts": tombstone.attempts + 1}), None)
        return creation(user)

    monkeypatch.setattr("convoke.storage.users.creation", creation_after_interference)


@pytest.mark.parametrize("interferences", [("", "erased"), ("", "changed"), ("", "changed", "changed", "erased")])
def test_user_is_created_although_its_tombstone_changes_meanwhile(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, interferences: tuple[str, ...]
) -> None:
    interfere_before_each_creation(tree, monkeypatch, *interferences)
    assert tree.client.users.create(identity="alice", friendly_name="Alice").friendly_name == "Alice"
    assert tree.client.users("alice").fetch().friendly_name == "Alice"


def test_creation_is_unavailable_if_the_tombstone_changes_before_each_attempt(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfere_before_each_creation(tree, monkeypatch, *["changed"] * MAX_FIRST_SIGHT_ATTEMPTS)
    answer = tree.call("POST", "/Users", {"Identity": "alice"})
    assert (answer.status, answer.body["code"]) == (503, 20503)


@pytest.mark.each_engine
def test_users_are_listed_oldest_first_over_pages(tree: Tree) -> None:
    made = [tree.client.users.create(identity=f"user {number}").sid for number in range(5)]
    listed = [user.sid for user in tree.client.users.list()]
    assert sorted(listed) == sorted(made)
    assert [user.sid for user in tree.client.users.list(page_size=2)] == listed
    assert [user.sid for user in tree.client.users.list(limit=3, page_size=1)] == listed[:3]
    meta = tree.call("GET", "/Users?PageSize=500").body["meta"]
    assert (meta["key"], meta["page_size"]) == ("users", 50)


def test_users_of_another_service_are_not_found(instance: Instance) -> None:
    ours, theirs = Tree(instance, in_service=False), Tree(instance, in_service=True)
    sid = theirs.client.users.create(identity="alice").sid
    for name in (sid, "alice"):
        assert refusal(ours.client.users(name).fetch).code == 20404
        assert refusal(ours.client.users(name).update).code == 20404
    assert ours.client.users.list() == []
    assert [user.sid for user in instance.client().conversations.v1.services(theirs.service_sid).users.list()] == [sid]


@pytest.mark.parametrize("identity", ["a b", "a/b", "é\n中", "%41", "\U0001f600" * 256, "null", "+15558675310"])
def test_user_is_found_by_any_identity(tree: Tree, identity: str) -> None:
    created = tree.client.users.create(identity=identity)
    assert tree.call("GET", f"/Users/{created.sid}").body["identity"] == identity
    if "/" not in identity:
        assert tree.call("GET", f"/Users/{quote(identity, safe='')}").body["sid"] == created.sid


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ({}, 50204, "Identity"),
        ({"Identity": ""}, 50204, "Identity"),
        ({"Identity": "i" * 257}, 50207, "Identity"),
        ({"Identity": "US" + "0" * 32}, 50206, "Identity"),
        ({"Identity": "bob", "FriendlyName": "n" * 257}, 50003, "FriendlyName"),
        ({"Identity": "bob", "Attributes": "{"}, 50304, "Attributes"),
        ({"Identity": "bob", "Attributes": json.dumps("a" * 16 * 1024)}, 50303, "Attributes"),
        ({"Identity": "bob", "RoleSid": "admin"}, 50102, "RoleSid"),
        ({"Identity": "bob", "RoleSid": "RL" + "0" * 32}, 50102, "RoleSid"),
    ],
)
def test_invalid_parameter_of_a_user_is_refused(
    tree: Tree, parameters: dict[str, str], code: int, parameter: str
) -> None:
    tree.client.users.create(identity="alice")
    asked = [("/Users", parameters)]
    if parameter != "Identity":
        asked.append(("/Users/alice", parameters))
    for path, form in asked:
        refused = tree.call("POST", path, form)
        assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)
    assert [user.identity for user in tree.client.users.list()] == ["alice"]


def test_role_of_a_user_must_be_a_service_role(tree: Tree) -> None:
    conversation_role = role(tree, "conversation")
    assert refusal(lambda: tree.client.users.create(identity="alice", role_sid=conversation_role)).code == 50102
    service_role = role(tree, "chat_service")
    assert tree.client.users.create(identity="alice", role_sid=service_role).role_sid == service_role
    assert refusal(lambda: tree.client.users("alice").update(role_sid=conversation_role)).code == 50102


def test_reachability_shows_that_nobody_is_online(tree: Tree) -> None:
    tree.client.users.create(identity="alice")
    services = tree.instance.client().conversations.v1.services
    services(tree.service_sid).configuration().update(reachability_enabled=True)
    tree.instance.clear_caches()
    for shown in (tree.call("GET", "/Users/alice").body, tree.call("GET", "/Users").body["users"][0]):
        assert (shown["is_online"], shown["is_notifiable"]) == (False, False)


# Events


EVENTS = ["onUserAdded", "onUserUpdate", "onUserUpdated", "onParticipantAdded", "onParticipantUpdated"]


def listen(tree: Tree) -> None:
    """Configure webhooks that receive all events in `EVENTS`."""
    tree.instance.client().conversations.v1.configuration.webhooks().update(
        pre_webhook_url="https://hooks.example.com/pre",
        post_webhook_url="https://hooks.example.com/post",
        filters=EVENTS,
    )


def posted(tree: Tree) -> list[dict[str, str]]:
    """Deliver all waiting events. Return the payloads that were delivered since the last call."""
    tree.instance.work()
    payloads = [delivery.event.payload for delivery in tree.instance.receivers.posted]
    tree.instance.receivers.posted.clear()
    return payloads


@pytest.mark.each_engine
def test_user_events_have_expected_parameters(tree: Tree) -> None:
    listen(tree)
    users = tree.client.users
    users.create(identity="alice", friendly_name="Alice", x_twilio_webhook_enabled="true")
    (added,) = posted(tree)
    (created,) = tree.instance.items("user")
    common = {
        "AccountSid": tree.instance.account.sid,
        "ChatServiceSid": tree.service_sid,
        "Source": "API",
        "UserSid": created["sid"],
        "Identity": "alice",
        "RoleSid": created["role_sid"],
        "Attributes": "{}",
        "FriendlyName": "Alice",
    }
    assert added == {**common, "EventType": "onUserAdded", "DateCreated": created["date_created"]}
    users("alice").update(attributes="[]", x_twilio_webhook_enabled="true")
    asked, updated = posted(tree)
    (stored,) = tree.instance.items("user")
    common |= {"Attributes": "[]", "DateUpdated": stored["date_updated"]}
    assert asked == {**common, "EventType": "onUserUpdate"}
    assert updated == {**common, "EventType": "onUserUpdated", "DateCreated": created["date_created"]}
    users.create(identity="bob")
    users("bob").update(attributes="[]")
    assert posted(tree) == []


def test_updated_event_says_that_a_reachable_user_is_offline(tree: Tree) -> None:
    services = tree.instance.client().conversations.v1.services
    services(tree.service_sid).configuration().update(reachability_enabled=True)
    tree.instance.clear_caches()
    listen(tree)
    tree.client.users.create(identity="alice")
    tree.client.users("alice").update(friendly_name="Alice", x_twilio_webhook_enabled="true")
    _, updated = posted(tree)
    assert (updated["isOnline"], updated["isNotifiable"]) == ("false", "false")


def test_rejected_pre_event_leaves_the_user_unchanged(tree: Tree) -> None:
    listen(tree)
    tree.client.users.create(identity="alice", friendly_name="before")
    tree.instance.receivers.statuses = [403]
    refused = tree.call("POST", "/Users/alice", {"FriendlyName": "after"}, {"X-Twilio-Webhook-Enabled": "true"})
    assert refused.body["code"] == 50056
    assert tree.client.users("alice").fetch().friendly_name == "before"


@pytest.mark.each_engine
def test_user_event_is_in_the_ledger_without_a_conversation_and_can_be_replayed(tree: Tree) -> None:
    listen(tree)
    tree.client.users.create(identity="alice", x_twilio_webhook_enabled="true")
    posted(tree)
    (event,) = tree.instance.call("GET", "/convoke/v1/Events").body["events"]
    assert (event["event_type"], event["conversation_sid"]) == ("onUserAdded", None)
    attempts = tree.instance.call("GET", f"/convoke/v1/Events/{event['id']}/Attempts").body["attempts"]
    assert [attempt["status"] for attempt in attempts] == [200]
    tree.instance.call("POST", f"/convoke/v1/Events/{event['id']}/Replay")
    assert [payload["Identity"] for payload in posted(tree)] == ["alice"]


def test_failed_delivery_of_a_user_event_is_an_alert_about_the_user(tree: Tree) -> None:
    listen(tree)
    tree.instance.receivers.statuses = [404]
    sid = tree.client.users.create(identity="alice", x_twilio_webhook_enabled="true").sid
    tree.instance.work()
    (alert,) = tree.instance.call("GET", "/v1/Alerts").body["alerts"]
    assert alert["resource_sid"] == sid


# Concurrency


@pytest.mark.each_engine
def test_concurrent_updates_of_different_fields_both_take_effect(instance: Instance) -> None:
    tree = Tree(instance, in_service=False)
    listen(tree)
    tree.client.users.create(identity="alice")
    done: list[Answer] = []

    def update_meanwhile() -> None:
        instance.receivers.on_call = lambda: None
        done.append(tree.call("POST", "/Users/alice", {"Attributes": "[1]"}))

    instance.receivers.on_call = update_meanwhile
    tree.client.users("alice").update(friendly_name="Alice", x_twilio_webhook_enabled="true")
    assert [answered.status for answered in done] == [200]
    user = tree.client.users("alice").fetch()
    assert (user.friendly_name, user.attributes) == ("Alice", "[1]")
