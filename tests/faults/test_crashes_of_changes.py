"""The data is consistent after a crash and a restart.

The process crashes while a client changes a conversation, or deletes a conversation or a User.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from convoke.storage import conversations
from tests.support.crashes import (
    PARTICIPANTS,
    PROXY,
    Scenario,
    crash_points,
    create_conversation,
    create_until_active,
    notified_event_types,
    recover,
)
from tests.support.instances import Instance

SCOPED_URL = "https://hooks.example.com/own"


def rename_and_close(instance: Instance) -> None:
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit", {"UniqueName": "other", "State": "closed"}, headers)
    instance.work()


def delete_conversation(instance: Instance) -> None:
    """Delete the conversation and let the sweeper erase its items."""
    instance.call("DELETE", "/v1/Conversations/visit", headers={"X-Twilio-Webhook-Enabled": "true"})
    instance.work()
    instance.sweep(timedelta(seconds=1))
    instance.work()


def create_inactive(instance: Instance) -> None:
    create_until_active(instance)
    instance.call("POST", "/v1/Conversations/visit", {"State": "inactive"})


def create_message(instance: Instance) -> None:
    """Create a message in the inactive conversation, so that the conversation becomes active.

    Convoke also stores a delivery receipt for the SMS participant.
    """
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": "Hello"}, headers)
    instance.work()


def test_crash_while_creating_a_message_stores_and_notifies_all_or_nothing(tmp_path: Path) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, create_message, create_inactive):
        (conversation,) = restarted.items("conversation")
        written = len(restarted.items("message#"))
        assert len(restarted.items("receipt#")) == conversation["next_index"] == written
        assert conversation["state"] == ("active" if written else "inactive")
        created = ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        assert notified_event_types(restarted) == sorted(
            [*created, *["onConversationStateUpdated", "onMessageAdded"] * written]
        )
        assert restarted.client().conversations.v1.conversations("visit").messages.create(body="Bye").index == written
        outcomes.add(written)
    assert outcomes == {0, 1}


def create_with_scoped_webhook(instance: Instance) -> None:
    """Create a conversation with a scoped webhook. The account also has a webhook."""
    create_until_active(instance)
    filters = ["onMessageAdded", "onConversationRemoved"]
    webhook = {"Target": "webhook", "Configuration.Url": SCOPED_URL, "Configuration.Filters": filters}
    assert instance.call("POST", "/v1/Conversations/visit/Webhooks", webhook).status == 201


def create_message_and_delete(instance: Instance) -> None:
    """Create a message, delete the conversation, and erase the conversation's items.

    Convoke publishes the events only after the items are erased.
    """
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": "Bye"}, headers)
    instance.call("DELETE", "/v1/Conversations/visit", headers=headers)
    instance.sweep(timedelta(seconds=1))
    instance.work()


def test_crash_while_deleting_notifies_scoped_and_account_webhooks_alike(tmp_path: Path) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, create_message_and_delete, create_with_scoped_webhook):
        kinds = ("onMessageAdded", "onConversationRemoved")
        posted = [each for each in restarted.receivers.posted if each.event.type in kinds]
        scoped = {(each.event.id, each.event.type) for each in posted if each.url == SCOPED_URL}
        account = {(each.event.id, each.event.type) for each in posted if each.url != SCOPED_URL}
        assert scoped == account
        outcomes.add(len(scoped))
    assert outcomes == {0, 1, 2}


REPLAYED = 3


def create_with_messages(instance: Instance) -> None:
    create_until_active(instance)
    for number in range(REPLAYED):
        instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": str(number)})


def create_replaying_webhook(instance: Instance) -> None:
    """Create a scoped webhook with a replay of the messages."""
    webhook = {"Target": "webhook", "Configuration.Url": SCOPED_URL, "Configuration.Filters": "onMessageAdded"}
    instance.call("POST", "/v1/Conversations/visit/Webhooks", webhook | {"Configuration.ReplayAfter": "0"})
    instance.work()


def test_crash_during_message_replay_replays_every_message_or_stores_no_webhook(tmp_path: Path) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, create_replaying_webhook, create_with_messages):
        created = len(restarted.items("webhooks"))
        posted = [each for each in restarted.receivers.posted if each.url == SCOPED_URL]
        indexes = sorted(int(index) for _, index in {(each.event.id, each.parameters["Index"]) for each in posted})
        assert indexes == [*range(REPLAYED)] * created
        assert restarted.waiting_messages("delivery") == 0
        outcomes.add(created)
    assert outcomes == {0, 1}


def replace_participant(instance: Instance) -> None:
    path, headers = "/v1/Conversations/visit/Participants", {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("DELETE", f"{path}/member%200", headers=headers)
    binding = {"MessagingBinding.Address": "+15558675319", "MessagingBinding.ProxyAddress": "+15017122661"}
    instance.call("POST", path, binding, headers)
    instance.work()


def test_crash_while_changing_participants_keeps_locks_and_events_consistent(
    tmp_path: Path,
) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, replace_participant, create_until_active):
        (conversation,) = restarted.items("conversation")
        members = restarted.items("participant#")
        bound = [member["messaging_binding"]["address"] for member in members if "messaging_binding" in member]
        assert conversation["members"] == len(members)
        assert [each["messaging_binding"]["address"] for each in conversation["bound"]] == bound
        assert sorted(lock["pk"].rpartition("#")[2] for lock in restarted.items(PROXY)) == sorted(bound)
        assert len(restarted.items("identity#")) == len(members) - len(bound)
        removed, added = len(members) - len(bound) < 9, len(bound) > 1
        assert notified_event_types(restarted).count("onParticipantRemoved") == removed
        assert notified_event_types(restarted).count("onParticipantAdded") == 10 + added
        outcomes.add((removed, added))
    assert outcomes == {(False, False), (True, False), (True, True)}


def test_crash_while_updating_stores_and_notifies_all_or_nothing(tmp_path: Path) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, rename_and_close, create_until_active):
        (conversation,) = restarted.items("conversation")
        (lock,) = restarted.items("lock")
        assert lock["pk"].endswith(f"#{conversation['unique_name']}")
        assert "due_at" not in conversation
        created = ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        if conversation["state"] == "closed":
            assert (conversation["unique_name"], restarted.items(PROXY)) == ("other", [])
            updated = ["onConversationStateUpdated", "onConversationUpdated"]
            assert notified_event_types(restarted) == sorted([*created, *updated])
        else:
            assert (conversation["unique_name"], len(restarted.items(PROXY))) == ("visit", 1)
            assert notified_event_types(restarted) == created
        outcomes.add(conversation["state"])
    assert outcomes == {"active", "closed"}


@pytest.mark.parametrize(
    "prepare", [create_conversation, create_until_active], ids=["while it is initializing", "once it is active"]
)
def test_crash_while_deleting_leaves_nothing_undeletable(
    tmp_path: Path, prepare: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "ERASE_BATCH_SIZE", 4)
    deleted = []
    for restarted in crash_points(tmp_path, delete_conversation, prepare):
        kept = restarted.items("conversation")
        deleted.append(not kept)
        assert len(restarted.items("lock")) == len(restarted.items(PROXY)) == len(kept)
        assert len(restarted.items("provisioning")) == len(kept)
        assert len(restarted.items("participant#")) == 10 * len(kept)
        assert [conversation["state"] for conversation in kept] in ([], ["active"])
        assert ("onConversationRemoved" in notified_event_types(restarted)) is (not kept)
        again = restarted.client().conversations.v1.conversation_with_participants
        if kept:
            restarted.client().conversations.v1.conversations("visit").delete()
        again.create(unique_name="visit", participant=PARTICIPANTS)
        recover(restarted)
        (conversation,) = restarted.items("conversation")
        assert (conversation["state"], len(restarted.items("lock"))) == ("active", 1)
    assert any(deleted)
    assert not all(deleted)


def test_conversation_can_be_deleted_after_a_crash_at_any_call(tmp_path: Path) -> None:
    def delete(restarted: Instance) -> None:
        restarted.call("DELETE", "/v1/Conversations/visit", headers={"X-Twilio-Webhook-Enabled": "true"})

    # The client deletes the conversation before Convoke finishes the interrupted work.
    for restarted in crash_points(tmp_path, after_restart=delete):
        left = {item["sk"] for item in restarted.items("") if "#CH" in item["pk"]}
        assert left == set()
        assert restarted.items("lock") == restarted.items(PROXY) == []
        kinds = notified_event_types(restarted)
        if kinds:
            assert kinds.count("onConversationRemoved") == kinds.count("onConversationAdded") == 1
        assert kinds.count("onConversationStateUpdated") == len(finalizer_changes(restarted))


def finalizer_changes(restarted: Instance) -> list[dict[str, Any]]:
    """Return the changes that the finalizer stored.

    In a test that deletes no User, only these changes have `published_by_maker`: the finalizer publishes their events
    itself. If a client deletes the conversation before that, Convoke publishes the events with the deletion.
    """
    return [change for change in restarted.changes() if change["published_by_maker"]]


def delete_user(instance: Instance) -> None:
    """Delete a User. Then let the sweeper delete the User's participant."""
    instance.call("DELETE", "/v1/Users/member%200", headers={"X-Twilio-Webhook-Enabled": "true"})
    instance.sweep(timedelta(seconds=1))
    instance.work()


def test_crash_while_deleting_a_user_deletes_its_participant_with_one_event_or_nothing(tmp_path: Path) -> None:
    outcomes = set()
    for restarted in crash_points(tmp_path, delete_user, create_until_active):
        users = {item["identity"]: item for item in restarted.items("user")}
        deleted = "date_removed" in users["member 0"]
        identities = {item.get("identity") for item in restarted.items("participant#")}
        assert ("member 0" in identities) is not deleted
        assert notified_event_types(restarted).count("onParticipantRemoved") == deleted
        outcomes.add(deleted)
    assert outcomes == {False, True}
