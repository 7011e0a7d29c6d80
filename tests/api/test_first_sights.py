"""Convoke creates a User when a service sees an identity for the first time.

See docs/behaviour/users.md#first-sight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.users import user_sid
from convoke.storage.table import Key, Write
from tests.api.test_users import listen, posted, role
from tests.support.examples import GROUP_MMS, chat, sms
from tests.support.instances import EmbeddedInstance, Instance, held_instance, refusal
from tests.support.trees import Tree


def make_group(tree: Tree) -> Any:
    """Create a group MMS conversation. Return the participant with the business number."""
    members = tree.client.conversations(tree.make(*GROUP_MMS)).participants
    return next(each for each in members.list() if "projected_address" in each.messaging_binding)


@pytest.mark.each_engine
def test_conversation_with_participants_creates_a_user_for_each_new_identity(tree: Tree) -> None:
    listen(tree)
    tree.client.users.create(identity="member 1", friendly_name="known")
    tree.make(*chat(3), *sms(1), x_twilio_webhook_enabled="true")
    created = {user.identity: user for user in tree.client.users.list()}
    assert {identity: user.friendly_name for identity, user in created.items()} == {
        "member 0": None,
        "member 1": "known",
        "member 2": None,
    }
    assert created["member 0"].sid == user_sid(tree.service_sid, "member 0")
    assert created["member 0"].role_sid == role(tree, "chat_service")
    assert created["member 0"].attributes == "{}"
    (change,) = (each for each in tree.instance.changes() if len(each["events"]) > 2)
    assert [(event["type"], event["payload"].get("Identity")) for event in change["events"]] == [
        ("onUserAdded", "member 0"),
        ("onUserAdded", "member 2"),
        ("onParticipantAdded", "member 0"),
        ("onParticipantAdded", "member 1"),
        ("onParticipantAdded", "member 2"),
        ("onParticipantAdded", None),
    ]
    assert [event["conversation_sid"] for event in change["events"][:3]] == [None, None, change["conversation_sid"]]
    assert sorted(payload["Identity"] for payload in posted(tree) if payload["EventType"] == "onUserAdded") == [
        "member 0",
        "member 2",
    ]


@pytest.mark.each_engine
def test_participant_creates_the_user_of_its_identity_in_the_same_change(tree: Tree) -> None:
    conversation = tree.client.conversations(tree.client.conversations.create(unique_name="visit").sid)
    listen(tree)
    conversation.participants.create(identity="alice", x_twilio_webhook_enabled="true")
    conversation.participants.create(identity="bob")
    assert {payload["EventType"] for payload in posted(tree)} == {"onUserAdded", "onParticipantAdded"}
    assert {user.identity for user in tree.client.users.list()} == {"alice", "bob"}
    second = tree.client.conversations(tree.client.conversations.create().sid)
    second.participants.create(identity="alice", x_twilio_webhook_enabled="true")
    assert [payload["EventType"] for payload in posted(tree)] == ["onParticipantAdded"]


@pytest.mark.each_engine
def test_update_that_gives_an_identity_creates_its_user(tree: Tree) -> None:
    number = make_group(tree)
    assert tree.client.users.list() == []
    listen(tree)
    number.update(attributes="[]", x_twilio_webhook_enabled="true")
    number.update(identity="alice", x_twilio_webhook_enabled="true")
    assert sorted(payload["EventType"] for payload in posted(tree)) == [
        "onParticipantUpdated",
        "onParticipantUpdated",
        "onUserAdded",
    ]
    assert [user.identity for user in tree.client.users.list()] == ["alice"]


def test_identity_in_two_services_is_two_users(instance: Instance) -> None:
    ours, theirs = Tree(instance, in_service=False), Tree(instance, in_service=True)
    for tree in (ours, theirs):
        tree.make(*chat(1))
    assert [len(tree.client.users.list()) for tree in (ours, theirs)] == [1, 1]
    assert ours.client.users("member 0").fetch().sid != theirs.client.users("member 0").fetch().sid


@pytest.mark.each_engine
def test_refused_request_creates_no_user(tree: Tree) -> None:
    tree.make(unique_name="visit")
    create = tree.client.conversation_with_participants.create
    assert refusal(lambda: create(participant=chat(2), unique_name="visit")).code == 50353
    conversation = tree.client.conversations("visit")
    conversation.participants.create(identity="alice")
    assert refusal(lambda: conversation.participants.create(identity="alice")).code == 50433
    assert refusal(lambda: conversation.participants.create(identity="bob", role_sid="RL" + "0" * 32)).code == 50109
    conversation.update(state="closed")
    assert refusal(lambda: conversation.participants.create(identity="carol")).code == 50377
    tree.instance.work()
    assert [user.identity for user in tree.client.users.list()] == ["alice"]


def test_failed_provisioning_creates_no_user() -> None:
    def refuse(*_: object) -> None:
        raise InvalidRoleSidError

    with held_instance(admit=refuse) as instance:
        tree = Tree(instance, in_service=False)
        assert tree.client.conversations(tree.make(*chat(2))).fetch().state == "closed"
        assert instance.items("user") == []


class CountingTable:
    """Wraps a table, and counts the reads and writes of Users.

    For each batch read of Users, `read` has the number of keys, and whether the read was strongly consistent. For each
    transaction, `written` has the number of written Users.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self.read: list[tuple[int, bool]] = []
        self.written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> Any:
        if any(key.sk == "user" for key in keys):
            self.read.append((len(keys), consistent))
        return self._table.get_many(keys, consistent=consistent)

    def transact(self, writes: Sequence[Write]) -> None:
        self.written.append(sum(write.key.sk == "user" for write in writes))
        self._table.transact(writes)


def test_known_identities_are_neither_written_nor_read_twice() -> None:
    with counting_instance() as (instance, table):
        tree = Tree(instance, in_service=False)
        tree.make(*chat(3))
        assert (table.read, sum(table.written)) == ([(3, False)], 3)
        tree.make(*chat(5))
        assert (table.read[1:], sum(table.written)) == ([(2, False)], 5)
        instance.clear_caches()
        table.read.clear()
        tree.make(*chat(10))
        tree.client.conversations(tree.client.conversations.create().sid).participants.create(identity="member 9")
        assert (table.read, sum(table.written)) == ([(10, False)], 10)


def test_identity_that_an_old_read_misses_is_read_again_consistently() -> None:
    """On DynamoDB, an eventually consistent read can miss a new User.

    Therefore Convoke repeats the read of an unknown identity with strong consistency.
    """

    class Stale(CountingTable):
        def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> Any:
            found = super().get_many(keys, consistent=consistent)
            return found if consistent else {}

    with counting_instance(Stale) as (instance, table):
        tree = Tree(instance, in_service=False)
        for identity in ("member 0", "alice"):
            tree.client.users.create(identity=identity, friendly_name="known")
        table.written.clear()
        sid = tree.make(*chat(2))
        assert table.read == [(2, False), (2, True)]
        assert [count for count in table.written if count] == [2, 1]
        assert tree.client.conversations(sid).fetch().state == "active"
        tree.client.conversations(sid).participants.create(identity="alice")
        assert table.read[2:] == [(1, False), (1, True)]
        shown = {user.identity: user.friendly_name for user in tree.client.users.list()}
        assert shown == {"member 0": "known", "member 1": None, "alice": "known"}


@contextmanager
def counting_instance(counting: type[CountingTable] = CountingTable) -> Iterator[tuple[EmbeddedInstance, Any]]:
    """Yield an instance and the CountingTable that the instance uses."""
    tables: list[CountingTable] = []

    def rewire(edges: Any) -> Any:
        tables.append(counting(edges.table))
        return replace(edges, table=tables[0])

    with held_instance(rewire=rewire) as instance:
        yield instance, tables[0]
