"""Clients create, fetch, list, update and delete roles. See docs/behaviour/roles.md."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from convoke.domain.roles import Permission
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service
from convoke.storage.roles import RoleRepository
from convoke.storage.services import ServiceRepository
from tests.support.examples import chat
from tests.support.instances import ORIGIN, Instance, held_instance, refusal
from tests.support.trees import Tree

DEFAULTS = ["service admin", "service user", "channel admin", "channel user"]


def make(tree: Tree, role_type: str = "conversation", *permissions: str) -> str:
    sid: str = tree.client.roles.create(
        friendly_name="guest", type=role_type, permission=[*(permissions or ("addParticipant",))]
    ).sid
    return sid


def configuration(tree: Tree) -> Any:
    return tree.instance.client().conversations.v1.services(tree.service_sid).configuration()


def stored_service(tree: Tree) -> Service:
    found = ServiceRepository(tree.instance.table).fetch(tree.instance.account.sid, tree.service_sid)
    assert found
    return found


def test_role_has_expected_fields(tree: Tree) -> None:
    form = {"FriendlyName": "guest", "Type": "Conversation", "Permission": ["sendMessage", "leaveConversation"]}
    created = tree.call("POST", "/Roles", form)
    sid = created.body["sid"]
    expected = {
        "sid": sid,
        "account_sid": tree.instance.account.sid,
        "chat_service_sid": tree.service_sid,
        "friendly_name": "guest",
        "type": "conversation",
        "permissions": ["sendMessage", "leaveConversation"],
        "date_created": created.body["date_created"],
        "date_updated": created.body["date_created"],
        "url": f"{ORIGIN}{tree.path}/Roles/{sid}",
    }
    assert (created.status, created.body) == (201, expected)
    assert list(created.body) == list(expected)
    assert tree.call("GET", f"/Roles/{sid}").body == expected


@pytest.mark.each_engine
def test_new_service_has_four_default_roles(tree: Tree) -> None:
    listed = tree.client.roles.list()
    assert [role.friendly_name for role in listed] == DEFAULTS
    assert [role.type for role in listed] == ["service", "service", "conversation", "conversation"]
    assert listed[3].permissions == [
        "sendMessage",
        "sendMediaMessage",
        "leaveConversation",
        "editOwnMessage",
        "editOwnMessageAttributes",
        "deleteOwnMessage",
        "editOwnParticipantAttributes",
        "editNotificationLevel",
    ]
    by_name = {role.friendly_name: role.sid for role in listed}
    configured = configuration(tree).fetch()
    assert configured.default_chat_service_role_sid == by_name["service user"]
    assert configured.default_conversation_role_sid == by_name["channel user"]
    assert configured.default_conversation_creator_role_sid == by_name["channel admin"]
    assert tree.client.roles(by_name["service admin"]).fetch().friendly_name == "service admin"
    assert tree.instance.items("role") == []


@pytest.mark.each_engine
def test_roles_are_listed_after_the_default_roles_over_pages(tree: Tree) -> None:
    made = [make(tree) for _ in range(3)]
    expected = [*(role.sid for role in tree.client.roles.list(limit=4)), *made]
    assert [role.sid for role in tree.client.roles.list()] == expected
    for size in (1, 2, 3, 4, 5):
        assert [role.sid for role in tree.client.roles.list(page_size=size)] == expected
    pages = [tree.call("GET", "/Roles?PageSize=3").body]
    for direction in ("next_page_url", "next_page_url", "previous_page_url", "previous_page_url"):
        pages.append(tree.instance.call("GET", pages[-1]["meta"][direction].removeprefix(ORIGIN)).body)
    shown = [[role["sid"] for role in page["roles"]] for page in pages]
    assert shown == [expected[:3], expected[3:6], expected[6:], expected[3:6], expected[:3]]
    assert pages[2]["meta"]["next_page_url"] is pages[4]["meta"]["previous_page_url"] is None


@pytest.mark.each_engine
def test_update_replaces_permissions(tree: Tree) -> None:
    sid = make(tree, "service", "addParticipant", "createConversation")
    updated = tree.client.roles(sid).update(permission=["joinConversation", "joinConversation", "editAnyMessage"])
    assert updated.permissions == ["joinConversation", "editAnyMessage"]
    assert tree.client.roles(sid).update(permission=updated.permissions).permissions == updated.permissions
    assert tree.client.roles(sid).fetch().permissions == ["joinConversation", "editAnyMessage"]
    assert refusal(lambda: tree.client.roles(sid).update(permission=["sendMessage"])).code == 50104
    assert tree.client.roles(sid).fetch().permissions == ["joinConversation", "editAnyMessage"]


VALID = {"FriendlyName": "guest", "Type": "conversation", "Permission": ["sendMessage"]}


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ({"FriendlyName": ""}, 50000, "FriendlyName"),
        ({"FriendlyName": "n" * 257}, 50003, "FriendlyName"),
        ({"Type": ""}, 50105, "Type"),
        ({"Type": "channel"}, 50105, "Type"),
        ({"Permission": []}, 20001, "Permission"),
        ({"Permission": ["sendMessage", "sendMessages"]}, 50104, "Permission"),
        ({"Permission": ["createConversation"]}, 50104, "Permission"),
        ({"Type": "service"}, 50104, "Permission"),
    ],
)
def test_invalid_parameter_of_a_role_is_refused(
    tree: Tree, parameters: dict[str, Any], code: int, parameter: str
) -> None:
    refused = tree.call("POST", "/Roles", VALID | parameters)
    assert (refused.status, refused.body["code"]) == (400, code)
    assert refused.body["details"]["parameter"].startswith(parameter)
    missing = tree.call("POST", "/Roles", {name: value for name, value in VALID.items() if name != parameter})
    assert missing.status == 400
    assert len(tree.client.roles.list()) == len(DEFAULTS)


@pytest.mark.parametrize(("permission", "is_named"), [("unknown", True), ("sendMessage", False)])
def test_error_of_an_unknown_permission_names_the_valid_permissions(
    tree: Tree, permission: str, *, is_named: bool
) -> None:
    refused = tree.call("POST", "/Roles", {"FriendlyName": "r", "Type": "service", "Permission": permission})
    assert "joinConversation" in refused.body["message"]
    assert ("sendMessage" in refused.body["message"]) == is_named


def test_every_permission_is_accepted_by_a_type_of_role(tree: Tree) -> None:
    for permission in Permission:
        answers = [
            tree.call("POST", "/Roles", {"FriendlyName": "r", "Type": each, "Permission": permission.value})
            for each in ("conversation", "service")
        ]
        assert 201 in {answered.status for answered in answers}, permission


@pytest.mark.each_engine
def test_default_role_can_be_neither_updated_nor_deleted(tree: Tree) -> None:
    for role in tree.client.roles.list():
        changes = (role.delete, partial(role.update, permission=["addParticipant"]))
        for error in map(refusal, changes):
            assert (error.status, error.code, error.details) == (409, 20409, {"reason": "default_role"})


@pytest.mark.each_engine
def test_role_is_deleted_unless_the_configuration_names_it(tree: Tree) -> None:
    for name, role_type in (
        ("default_conversation_creator_role_sid", "conversation"),
        ("default_conversation_role_sid", "conversation"),
        ("default_chat_service_role_sid", "service"),
    ):
        before = getattr(configuration(tree).fetch(), name)
        sid = make(tree, role_type)
        assert getattr(configuration(tree).update(**{name: sid}), name) == sid
        error = refusal(tree.client.roles(sid).delete)
        assert (error.status, error.code, error.details) == (409, 20409, {"reason": "configured_role"})
        configuration(tree).update(**{name: before})
        assert tree.client.roles(sid).delete()
        assert refusal(tree.client.roles(sid).fetch).code == 20404
        assert refusal(tree.client.roles(sid).delete).code == 20404
        assert refusal(partial(configuration(tree).update, **{name: sid})).code in (50101, 50102)


def test_roles_of_another_service_are_not_found(instance: Instance) -> None:
    ours, theirs = Tree(instance, in_service=False), Tree(instance, in_service=True)
    for sid in (make(theirs), theirs.client.roles.list()[0].sid, "RL" + "0" * 32, "guest"):
        assert refusal(ours.client.roles(sid).fetch).code == 20404
        assert refusal(ours.client.roles(sid).delete).code == 20404
    assert len(ours.client.roles.list()) == len(DEFAULTS)


# Roles of Users and participants


@pytest.mark.each_engine
def test_users_and_participants_can_have_created_roles_of_their_type(tree: Tree) -> None:
    of_users, of_participants = make(tree, "service"), make(tree)
    assert tree.client.users.create(identity="alice", role_sid=of_users).role_sid == of_users
    assert refusal(lambda: tree.client.users.create(identity="bob", role_sid=of_participants)).code == 50102
    asked = f'{{"identity": "carol", "role_sid": "{of_participants}"}}'
    sid = tree.make(asked, *chat(1))
    members = tree.client.conversations(sid).participants
    assert members("carol").fetch().role_sid == of_participants
    assert members.create(identity="dave", role_sid=of_participants).role_sid == of_participants
    assert members("member 0").update(role_sid=of_participants).role_sid == of_participants
    wrong = {"role_sid": of_users}
    assert refusal(lambda: members.create(identity="erin", **wrong)).code == 50109
    assert refusal(lambda: members("dave").update(**wrong)).code == 50109
    create = tree.client.conversation_with_participants.create
    error = refusal(lambda: create(participant=[asked.replace(of_participants, of_users)]))
    assert (error.code, error.details["parameter"]) == (50109, "Participant[0].role_sid")


@pytest.mark.each_engine
def test_configured_roles_are_given_to_new_users_and_participants(tree: Tree) -> None:
    of_users, of_participants = make(tree, "service"), make(tree)
    configuration(tree).update(default_chat_service_role_sid=of_users, default_conversation_role_sid=of_participants)
    tree.instance.clear_caches()
    sid = tree.make(*chat(1))
    assert tree.client.conversations(sid).participants("member 0").fetch().role_sid == of_participants
    assert tree.client.users("member 0").fetch().role_sid == of_users


@pytest.mark.each_engine
def test_deleted_role_does_not_fail_participants_that_wait_to_be_added(tree: Tree) -> None:
    sid = make(tree)
    asked = f'{{"identity": "carol", "role_sid": "{sid}"}}'
    created = tree.client.conversation_with_participants.create(participant=[asked])
    tree.client.roles(sid).delete()
    tree.instance.work()
    assert tree.client.conversations(created.sid).fetch().state == "active"
    assert tree.client.conversations(created.sid).participants("carol").fetch().role_sid == sid


@pytest.mark.each_engine
def test_role_that_the_configuration_names_meanwhile_is_not_deleted(tree: Tree) -> None:
    sid = make(tree)
    before = stored_service(tree)
    roles = RoleRepository(tree.instance.table)
    role = roles.fetch(before, sid)
    assert role
    configuration(tree).update(default_conversation_role_sid=sid)
    assert not roles.delete(before, role)
    assert tree.client.roles(sid).fetch().sid == sid


@pytest.mark.each_engine
def test_configuration_does_not_name_a_role_that_is_deleted_meanwhile(tree: Tree) -> None:
    sid = make(tree)
    service = stored_service(tree)
    tree.client.roles(sid).delete()
    change = ServiceConfigurationChange(default_conversation_role_sid=sid)
    assert ServiceRepository(tree.instance.table).update(service, change) is None
    assert stored_service(tree) == service


def test_default_roles_are_never_read() -> None:
    read: list[str] = []

    class Recording:
        def __init__(self, table: Any) -> None:
            self._table = table

        def __getattr__(self, name: str) -> Any:
            return getattr(self._table, name)

        def get_many(self, keys: Any, **options: Any) -> Any:
            read.extend(key.sk for key in keys)
            return self._table.get_many(keys, **options)

        def get(self, key: Any) -> Any:
            read.append(key.sk)
            return self._table.get(key)

    with held_instance(rewire=lambda edges: replace(edges, table=Recording(edges.table))) as instance:
        tree = Tree(instance, in_service=False)
        *_, admin, user = tree.client.roles.list()
        members = [f'{{"identity": "{number}", "role_sid": "{role.sid}"}}' for number, role in enumerate((admin, user))]
        sid = tree.make(*members)
        tree.client.conversations(sid).participants.create(identity="alice", role_sid=user.sid)
        assert not [sk for sk in read if sk.startswith("role#")]
        custom = make(tree)
        tree.make(*(f'{{"identity": "{number}", "role_sid": "{custom}"}}' for number in range(2)))
        assert [sk for sk in read if sk.startswith("role#")] == [f"role#{custom}"]
