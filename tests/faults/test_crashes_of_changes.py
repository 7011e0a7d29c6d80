"""A client changes or deletes a conversation and the process dies; another one takes over, and nothing is stuck."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from convoke.operations.message_replays import MESSAGES_PER_BATCH
from convoke.storage import conversations
from tests.support.crashes import (
    PARTICIPANTS,
    PROXY,
    Life,
    comes_alive,
    crash_points,
    creates,
    notified_event_types,
    recover,
)
from tests.support.instances import Instance

OWN = "https://hooks.example.com/own"


def is_changed(instance: Instance) -> None:
    """It is renamed and closed, as a client does who has waited for it."""
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit", {"UniqueName": "other", "State": "closed"}, headers)
    instance.work()


def is_deleted(instance: Instance) -> None:
    """It is deleted and what is left of it removed."""
    instance.call("DELETE", "/v1/Conversations/visit", headers={"X-Twilio-Webhook-Enabled": "true"})
    instance.work()
    instance.sweep(timedelta(seconds=1))
    instance.work()


def falls_asleep(instance: Instance) -> None:
    comes_alive(instance)
    instance.call("POST", "/v1/Conversations/visit", {"State": "inactive"})


def gets_a_message(instance: Instance) -> None:
    """It is re-activated by it, and there is a member outside chat."""
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": "Hello"}, headers)
    instance.work()


def test_crash_while_creating_a_message_stores_and_notifies_all_or_nothing(tmp_path: Path) -> None:
    outcomes = set()
    for heir in crash_points(tmp_path, gets_a_message, falls_asleep):
        (conversation,) = heir.items("conversation")
        written = len(heir.items("message#"))
        assert len(heir.items("receipt#")) == conversation["next_index"] == written
        assert conversation["state"] == ("active" if written else "inactive")
        created = ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        assert notified_event_types(heir) == sorted(
            [*created, *["onConversationStateUpdated", "onMessageAdded"] * written]
        )
        assert heir.client().conversations.v1.conversations("visit").messages.create(body="Bye").index == written
        outcomes.add(written)
    assert outcomes == {0, 1}


def is_heard(instance: Instance) -> None:
    """By a webhook of its own, beside that of the account."""
    comes_alive(instance)
    filters = ["onMessageAdded", "onConversationRemoved"]
    webhook = {"Target": "webhook", "Configuration.Url": OWN, "Configuration.Filters": filters}
    assert instance.call("POST", "/v1/Conversations/visit/Webhooks", webhook).status == 201


def speaks_last_words(instance: Instance) -> None:
    """What is told of them is split when nothing is left of the conversation."""
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": "Bye"}, headers)
    instance.call("DELETE", "/v1/Conversations/visit", headers=headers)
    instance.sweep(timedelta(seconds=1))
    instance.work()


def test_crash_while_deleting_notifies_scoped_and_account_webhooks_alike(tmp_path: Path) -> None:
    outcomes = set()
    for heir in crash_points(tmp_path, speaks_last_words, is_heard):
        kinds = ("onMessageAdded", "onConversationRemoved")
        told = {(delivery.url == OWN, delivery.event.id, delivery.event.type) for delivery in heir.receivers.posted}
        own, accounts = ({each[1:] for each in told if each[0] is side and each[2] in kinds} for side in (True, False))
        assert own == accounts
        outcomes.add(len(own))
    assert outcomes == {0, 1, 2}


def has_talked(instance: Instance) -> None:
    comes_alive(instance)
    for number in range(MESSAGES_PER_BATCH + 3):
        instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": str(number)})


def gets_a_late_listener(instance: Instance) -> None:
    """It is told what was said before, in two pages."""
    webhook = {"Target": "webhook", "Configuration.Url": OWN, "Configuration.Filters": "onMessageAdded"}
    instance.call("POST", "/v1/Conversations/visit/Webhooks", webhook | {"Configuration.ReplayAfter": "0"})
    instance.work()


def test_crash_during_message_replay_replays_every_message_or_stores_no_webhook(tmp_path: Path) -> None:
    outcomes = set()
    for heir in crash_points(tmp_path, gets_a_late_listener, has_talked):
        created = len(heir.items("webhooks"))
        told = {(each.event.id, each.parameters["Index"]) for each in heir.receivers.posted if each.url == OWN}
        indexes = sorted(int(index) for _, index in told)
        assert indexes == [*range(1, MESSAGES_PER_BATCH + 3)] * created
        assert heir.waiting_messages("delivery") == 0
        outcomes.add(created)
    assert outcomes == {0, 1}


def changes_members(instance: Instance) -> None:
    """One goes and another one comes."""
    path, headers = "/v1/Conversations/visit/Participants", {"X-Twilio-Webhook-Enabled": "true"}
    instance.call("DELETE", f"{path}/member%200", headers=headers)
    binding = {"MessagingBinding.Address": "+15558675319", "MessagingBinding.ProxyAddress": "+15017122661"}
    instance.call("POST", path, binding, headers)
    instance.work()


def test_crash_while_changing_participants_keeps_locks_and_events_consistent(
    tmp_path: Path,
) -> None:
    outcomes = set()
    for heir in crash_points(tmp_path, changes_members, comes_alive):
        (conversation,) = heir.items("conversation")
        members = heir.items("participant#")
        bound = [member["messaging_binding"]["address"] for member in members if "messaging_binding" in member]
        assert conversation["members"] == len(members)
        assert [each["messaging_binding"]["address"] for each in conversation["bound"]] == bound
        assert sorted(lock["pk"].rpartition("#")[2] for lock in heir.items(PROXY)) == sorted(bound)
        assert len(heir.items("identity#")) == len(members) - len(bound)
        removed, added = len(members) - len(bound) < 9, len(bound) > 1
        assert notified_event_types(heir).count("onParticipantRemoved") == removed
        assert notified_event_types(heir).count("onParticipantAdded") == 10 + added
        outcomes.add((removed, added))
    assert outcomes == {(False, False), (True, False), (True, True)}


def test_crash_while_updating_stores_and_notifies_all_or_nothing(tmp_path: Path) -> None:
    outcomes = set()
    for heir in crash_points(tmp_path, is_changed, comes_alive):
        (conversation,) = heir.items("conversation")
        (lock,) = heir.items("lock")
        assert lock["pk"].endswith(f"#{conversation['unique_name']}")
        assert "due_at" not in conversation
        created = ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        if conversation["state"] == "closed":
            assert (conversation["unique_name"], heir.items(PROXY)) == ("other", [])
            updated = ["onConversationStateUpdated", "onConversationUpdated"]
            assert notified_event_types(heir) == sorted([*created, *updated])
        else:
            assert (conversation["unique_name"], len(heir.items(PROXY))) == ("visit", 1)
            assert notified_event_types(heir) == created
        outcomes.add(conversation["state"])
    assert outcomes == {"active", "closed"}


@pytest.mark.parametrize("moment", [creates, comes_alive], ids=["while it is initializing", "once it is active"])
def test_crash_while_deleting_leaves_nothing_undeletable(
    tmp_path: Path, moment: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "ERASED_AT_ONCE", 4)
    deleted = []
    for heir in crash_points(tmp_path, is_deleted, moment):
        kept = heir.items("conversation")
        deleted.append(not kept)
        assert len(heir.items("lock")) == len(heir.items(PROXY)) == len(kept)
        assert len(heir.items("provisioning")) == len(kept)
        assert len(heir.items("participant#")) == 10 * len(kept)
        assert [conversation["state"] for conversation in kept] in ([], ["active"])
        assert ("onConversationRemoved" in notified_event_types(heir)) is (not kept)
        again = heir.client().conversations.v1.conversation_with_participants
        if kept:
            heir.client().conversations.v1.conversations("visit").delete()
        again.create(unique_name="visit", participant=PARTICIPANTS)
        recover(heir)
        (conversation,) = heir.items("conversation")
        assert (conversation["state"], len(heir.items("lock"))) == ("active", 1)
    assert any(deleted)
    assert not all(deleted)


def test_conversation_can_be_deleted_after_a_crash_at_any_call(tmp_path: Path) -> None:
    """What the dead left behind is not finished: the client deletes the conversation first."""

    def delete(heir: Instance) -> None:
        heir.call("DELETE", "/v1/Conversations/visit", headers={"X-Twilio-Webhook-Enabled": "true"})

    for heir in crash_points(tmp_path, takes_over=delete):
        left = {item["sk"] for item in heir.items("") if "#CH" in item["pk"]}
        assert left == set()
        assert heir.items("lock") == heir.items(PROXY) == []
        kinds = notified_event_types(heir)
        if kinds:
            assert kinds.count("onConversationRemoved") == kinds.count("onConversationAdded") == 1
        assert kinds.count("onConversationStateUpdated") == len(ended(heir))


def ended(heir: Instance) -> list[dict[str, Any]]:
    """The changes that a finalizer has recorded: each is to be told, by it or with the deletion."""
    return [change for change in heir.changes() if change["published_by_maker"]]
