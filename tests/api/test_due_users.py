"""The sweeper removes a deleted User from all conversations that are not closed. See docs/behaviour/users.md#delete."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from convoke.domain.retention import SETTLING_TIME
from convoke.embedded.engine import EmbeddedEdges
from convoke.storage import keys
from tests.support.examples import GROUP_MMS, chat
from tests.support.instances import Instance, held_instance, refusal
from tests.support.manual_clock import ManualClock
from tests.support.stale import StaleTable
from tests.support.trees import Tree

ALICE = '{"identity": "alice"}'
MASKED = json.dumps({"identity": "alice", "messaging_binding": {"projected_address": "+15017122662"}})
PAUSE = timedelta(minutes=10)
"""The maximum pause after each of the first 8 passes of the sweeper for a deleted User.

After later passes, the pause can be longer. See `ProvisioningRetries`.
"""


@pytest.fixture(params=["the account's tree", "a service's tree"])
def tree(clocked: Instance, request: pytest.FixtureRequest) -> Tree:
    return Tree(clocked, in_service=request.param == "a service's tree")


def sweep(tree: Tree, clock: ManualClock, later: timedelta = timedelta(seconds=1)) -> None:
    clock.move(later)
    tree.instance.sweep(timedelta(0))
    tree.instance.work()


def sweep_until_gone(tree: Tree, clock: ManualClock, passes: int = 4) -> None:
    for _ in range(passes):
        sweep(tree, clock, PAUSE)
    assert [user for user in tree.instance.items("user") if "leaving" in user] == []


def members(tree: Tree, sid: str) -> list[str | None]:
    return [each.identity for each in tree.client.conversations(sid).participants.list()]


def delete(tree: Tree, identity: str = "alice", *, webhooks: bool = False) -> None:
    headers = {"X-Twilio-Webhook-Enabled": "true"} if webhooks else {}
    assert tree.call("DELETE", f"/Users/{identity}", headers=headers).status == 204
    if tree.instance.is_deployed:
        # On AWS, the participant adder's cache can contain the deleted User for some seconds.
        tree.instance.clear_caches()


@pytest.mark.each_engine
def test_deleted_user_is_not_found_at_once_and_leaves_every_conversation(tree: Tree, clock: ManualClock) -> None:
    made = [tree.make(ALICE, *chat(1)) for _ in range(3)]
    user = tree.client.users("alice").fetch()
    tree.client.conversations(made[0]).messages.create(author="alice", body="Hello")
    assert tree.client.users(user.sid).delete()
    for ask in (tree.client.users("alice").fetch, tree.client.users(user.sid).fetch, tree.client.users("alice").delete):
        assert refusal(ask).code == 20404
    assert tree.call("POST", "/Users/alice", {"FriendlyName": "A"}).status == 404
    assert tree.call("GET", "/Users/alice/Conversations").status == 404
    assert [each.identity for each in tree.client.users.list()] == ["member 0"]
    sweep(tree, clock)
    assert [members(tree, sid) for sid in made] == [["member 0"]] * 3
    assert tree.client.conversations(made[0]).messages.list()[0].author == "alice"
    sweep_until_gone(tree, clock)
    assert [item["identity"] for item in tree.instance.items("user")] == ["member 0"]


@pytest.mark.each_engine
def test_tombstone_keeps_no_personal_data_but_the_identity(tree: Tree) -> None:
    tree.client.users.create(identity="alice", friendly_name="Alice Smith", attributes='{"phone": "secret"}')
    delete(tree)
    (tombstone,) = tree.instance.items("user")
    assert "Smith" not in str(tombstone)
    assert "secret" not in str(tombstone)
    assert "list_shard" not in tombstone


@pytest.mark.each_engine
def test_events_of_leaving_reach_webhooks_if_the_request_asks(tree: Tree, clock: ManualClock) -> None:
    hooks = tree.instance.client().conversations.v1.configuration.webhooks()
    filters = ["onParticipantRemove", "onParticipantRemoved"]
    hooks.update(pre_webhook_url="https://h.example.com/", post_webhook_url="https://h.example.com/", filters=filters)
    for webhooks in (True, False):
        tree.make(ALICE)
        delete(tree, webhooks=webhooks)
        sweep(tree, clock)
        sweep_until_gone(tree, clock)
    posted = [delivery.event.payload for delivery in tree.instance.receivers.posted]
    assert [(payload["EventType"], payload["Identity"]) for payload in posted] == [("onParticipantRemoved", "alice")]


@pytest.mark.each_engine
def test_closed_conversation_keeps_its_participant(tree: Tree, clock: ManualClock) -> None:
    closed, deleted, open_ = (tree.make(ALICE) for _ in range(3))
    tree.client.conversations(closed).update(state="closed")
    tree.client.conversations(deleted).delete()
    delete(tree)
    sweep_until_gone(tree, clock)
    assert (members(tree, closed), members(tree, open_)) == (["alice"], [])
    assert tree.instance.items("user") == []


def test_participant_of_an_initializing_conversation_leaves_later(clock: ManualClock) -> None:
    class LosingWorkflow:
        def start(self, *_: object) -> None: ...

    with held_instance(now=clock.now, sleep=clock.sleep, workflow=LosingWorkflow()) as instance:
        tree = Tree(instance, in_service=False)
        sid = tree.client.conversation_with_participants.create(participant=[ALICE]).sid
        instance.run_steps()
        delete(tree)
        for _ in range(3):
            sweep(tree, clock, PAUSE)
        assert len(instance.items("participant")) == len(instance.items("user")) == 1
        finalizer = instance.engine.program.conversation_finalizer
        finalizer.finalize(instance.account.sid, sid, [])
        finalizer.settle(instance.account.sid, sid)
        sweep_until_gone(tree, clock)
        assert (members(tree, sid), instance.items("user")) == ([], [])


@pytest.mark.each_engine
def test_only_the_identity_is_removed_if_two_groups_would_have_the_same_numbers(tree: Tree, clock: ManualClock) -> None:
    """The second group has the numbers of the first group and alice's number, the projected address in MASKED.

    If Convoke removed alice's participant, both groups would have the same numbers. Therefore Convoke removes only the
    identity and keeps the participant.
    """
    tree.make(*GROUP_MMS)
    sid = tree.make(*GROUP_MMS, MASKED)
    delete(tree)
    sweep_until_gone(tree, clock)
    shown = tree.client.conversations(sid).participants.list()
    assert [each.identity for each in shown] == [None] * (len(GROUP_MMS) + 1)
    assert shown[-1].messaging_binding == {"type": "sms", "projected_address": "+15017122662"}
    assert tree.call("GET", "/ParticipantConversations?Identity=alice").body["conversations"] == []
    tree.client.conversations(sid).participants.create(
        identity="alice", messaging_binding_projected_address="+15017122663"
    )


@pytest.mark.each_engine
def test_identity_that_appears_again_gets_a_fresh_user_and_only_old_participants_leave(
    tree: Tree, clock: ManualClock
) -> None:
    old = tree.make(ALICE)
    tree.client.users("alice").update(friendly_name="old")
    delete(tree)
    new = tree.make(ALICE)
    fresh = tree.client.users("alice").fetch()
    assert (fresh.friendly_name, fresh.sid) == (None, tree.client.users.list()[0].sid)
    sweep(tree, clock)
    assert (members(tree, old), members(tree, new)) == ([], ["alice"])
    sweep_until_gone(tree, clock)
    assert tree.client.users("alice").update(friendly_name="new").friendly_name == "new"
    (item,) = tree.instance.items("user")
    assert not {"leaving", "due_at", "due_shard", "date_removed"} & set(item)


@pytest.mark.each_engine
def test_refused_participant_does_not_keep_its_identity_from_getting_a_fresh_user(tree: Tree) -> None:
    old = tree.client.conversations(tree.make(ALICE))
    other = tree.client.conversations(tree.client.conversations.create().sid)
    delete(tree)
    assert refusal(lambda: old.participants.create(identity="alice")).code == 50433
    other.participants.create(identity="alice")
    assert tree.client.users("alice").fetch().identity == "alice"


@pytest.mark.each_engine
def test_user_can_be_created_again_explicitly(tree: Tree, clock: ManualClock) -> None:
    old = tree.make(ALICE)
    delete(tree)
    created = tree.client.users.create(identity="alice", friendly_name="again")
    assert tree.client.users("alice").fetch().friendly_name == "again"
    assert refusal(lambda: tree.client.users.create(identity="alice")).code == 50201
    sweep_until_gone(tree, clock)
    assert (members(tree, old), tree.client.users(created.sid).fetch().friendly_name) == ([], "again")
    delete(tree)
    sweep_until_gone(tree, clock)
    assert tree.instance.items("user") == []


@pytest.mark.each_engine
def test_tombstone_stays_until_the_deletion_is_visible_everywhere(tree: Tree, clock: ManualClock) -> None:
    tree.client.users.create(identity="alice")
    delete(tree)
    sweep(tree, clock, SETTLING_TIME - timedelta(seconds=1))
    assert len(tree.instance.items("user")) == 1
    sweep(tree, clock, PAUSE)
    assert tree.instance.items("user") == []


@pytest.mark.each_engine
def test_participant_added_while_its_user_is_deleted_has_a_user_or_is_removed(tree: Tree, clock: ManualClock) -> None:
    """The User is deleted while the request that adds the participant waits for the answer to its pre-event."""
    tree.make(ALICE)
    conversation = tree.client.conversations(tree.client.conversations.create().sid)
    hooks = {"pre_webhook_url": "https://hooks.example.com/", "filters": ["onParticipantAdd"]}
    tree.instance.client().conversations.v1.configuration.webhooks().update(**hooks)

    def delete_meanwhile() -> None:
        tree.instance.receivers.on_call = lambda: None
        delete(tree)

    tree.instance.receivers.on_call = delete_meanwhile
    conversation.participants.create(identity="alice", x_twilio_webhook_enabled="true")
    sweep_until_gone(tree, clock)
    listed = [each.identity for each in conversation.participants.list()]
    users = [user.identity for user in tree.client.users.list()]
    assert listed in ([], ["alice"])
    assert ("alice" in users) or listed == []


def test_identity_that_an_outdated_cache_added_without_a_user_gets_one(clock: ManualClock) -> None:
    with held_instance(now=clock.now, sleep=clock.sleep) as instance:
        tree = Tree(instance, in_service=False)
        tree.make(ALICE)
        first_sights = instance.engine.program.first_sights
        known = first_sights._known
        delete(tree)
        # Simulate the cache of another process, which contains the deleted User for some seconds.
        known.remember(True, instance.account.sid, tree.instance.items("user")[0]["sid"])
        sid = tree.make(ALICE)
        known.clear()
        assert "date_removed" in instance.items("user")[0]
        sweep_until_gone(tree, clock)
        assert members(tree, sid) == ["alice"]
        assert tree.client.users("alice").fetch().friendly_name is None


def test_participant_that_cannot_be_deleted_does_not_keep_the_others(clock: ManualClock) -> None:
    class Broken:
        """A table whose `get_many` fails if a key contains the conversation SID `broken`."""

        broken = ""

        def __init__(self, table: Any) -> None:
            self._table = table

        def __getattr__(self, name: str) -> Any:
            return getattr(self._table, name)

        def get_many(self, keys: Any, **options: Any) -> Any:
            if any(Broken.broken and Broken.broken in key.pk for key in keys):
                raise OSError("unreadable")
            return self._table.get_many(keys, **options)

    with held_instance(
        rewire=lambda edges: replace(edges, table=Broken(edges.table)), now=clock.now, sleep=clock.sleep
    ) as instance:
        tree = Tree(instance, in_service=False)
        made = [tree.make(ALICE) for _ in range(3)]
        delete(tree)
        Broken.broken = made[1]
        sweep_passes = 3
        for _ in range(sweep_passes):
            sweep(tree, clock, PAUSE)
        assert len(instance.items("participant")) == len(instance.items("user")) == 1
        Broken.broken = ""
        sweep_until_gone(tree, clock)
        assert instance.items("participant") == instance.items("user") == []


def test_interrupted_pass_goes_on_later(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    with held_instance(now=clock.now, sleep=clock.sleep) as instance:
        tree = Tree(instance, in_service=False)
        made = [tree.make(ALICE) for _ in range(3)]
        delete(tree)
        clock.move(PAUSE)
        answers = iter([True, True, False])
        instance.engine.sweeper.sweep(go_on=lambda: next(answers, False))
        assert [members(tree, sid) for sid in made] == [[], ["alice"], ["alice"]]
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []
        sweep_until_gone(tree, clock)
        assert [members(tree, sid) for sid in made] == [[]] * 3
        assert instance.items("user") == []


def test_outdated_entry_of_the_index_changes_no_user(clock: ManualClock) -> None:
    """On DynamoDB, an outdated index can have entries for Users that are erased or no longer due."""
    with held_instance(now=clock.now, sleep=clock.sleep) as instance:
        tree = Tree(instance, in_service=False)
        process = instance.engine.sweeper.processes[keys.USER]
        key = keys.user(instance.account.sid, tree.client.users.create(identity="alice").sid)
        before = instance.items("user")
        process(key, lambda: True)
        assert instance.items("user") == before
        delete(tree)
        sweep_until_gone(tree, clock)
        process(key, lambda: True)
        assert instance.items("user") == []


def test_outdated_entry_of_a_participant_without_its_identity_does_not_keep_the_tombstone(clock: ManualClock) -> None:
    tables: list[StaleTable] = []

    def rewire(edges: EmbeddedEdges) -> EmbeddedEdges:
        tables.append(StaleTable(edges.table))
        return replace(edges, table=tables[0])

    with held_instance(rewire=rewire, now=clock.now, sleep=clock.sleep) as instance:
        tree = Tree(instance, in_service=False)
        tree.make(*GROUP_MMS)
        sid = tree.make(*GROUP_MMS, MASKED)
        tables[0].catch_up()
        key = keys.user(instance.account.sid, tree.client.users("alice").fetch().sid)
        delete(tree)
        for _ in range(2):
            clock.move(PAUSE)
            instance.engine.sweeper.processes[keys.USER](key, lambda: True)
        tables[0].indexes_are_fresh = True
        assert members(tree, sid) == [None] * (len(GROUP_MMS) + 1)
        assert instance.items("user") == []
