"""Clients create, update and delete participants.

See docs/behaviour/participants.md and docs/behaviour/group-mms.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, Instance, refusal

A1, A2, A3 = "+15558675310", "+15558675311", "+15558675312"
P1, P2 = "+15017122661", "+15017122662"


def members_of(instance: Instance, **parameters: Any) -> Any:
    """Create a conversation. Return the SDK's participant list of the conversation."""
    v1 = instance.client().conversations.v1
    return v1.conversations(v1.conversations.create(**parameters).sid).participants


def pair(address: str = A1, proxy: str = P1) -> dict[str, str]:
    return {"messaging_binding_address": address, "messaging_binding_proxy_address": proxy}


def phone(address: str) -> dict[str, str]:
    return {"messaging_binding_address": address}


def projected(address: str) -> dict[str, str]:
    return {"messaging_binding_projected_address": address}


# Create


def test_create_returns_stored_participant(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create().sid
    path = f"/v1/Conversations/{sid}/Participants"
    created = instance.call("POST", path, {"Identity": "alice", "Attributes": '{"a": 1}'})
    (stored,) = instance.items("participant")
    assert (created.status, created.body) == (
        201,
        {
            "account_sid": instance.account.sid,
            "conversation_sid": sid,
            "sid": stored["sid"],
            "identity": "alice",
            "attributes": '{"a": 1}',
            "messaging_binding": None,
            "role_sid": stored["role_sid"],
            "date_created": stored["date_created"][:19] + "Z",
            "date_updated": stored["date_created"][:19] + "Z",
            "url": f"{ORIGIN}{path}/{stored['sid']}",
            "last_read_message_index": None,
            "last_read_timestamp": None,
        },
    )
    assert instance.call("GET", f"{path}/{stored['sid']}").body == created.body


@pytest.mark.each_engine
def test_participant_is_scoped_to_its_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="other")
    conversations = v1.services(service.sid).conversations
    members = conversations(conversations.create(unique_name="visit").sid).participants
    created = members.create(identity="alice")
    assert created.chat_service_sid == service.sid
    assert f"/Services/{service.sid}/Conversations/" in created.url
    assert members("alice").update(attributes='"x"').attributes == '"x"'
    assert conversations("visit").participants("alice").fetch().sid == created.sid
    assert members("alice").delete()
    assert refusal(v1.conversations("visit").participants("alice").fetch).status == 404


@pytest.mark.parametrize(
    ("given", "binding"),
    [
        (pair(), {"type": "sms", "address": A1, "proxy_address": P1}),
        (
            pair(f"whatsapp:{A1}", f"whatsapp:{P1}"),
            {"type": "whatsapp", "address": f"whatsapp:{A1}", "proxy_address": f"whatsapp:{P1}"},
        ),
        (phone(A1), {"type": "sms", "address": A1}),
        (projected(P1), {"type": "sms", "projected_address": P1}),
        ({"identity": "alice", **projected(P1)}, {"type": "sms", "projected_address": P1}),
    ],
)
def test_each_address_combination_makes_expected_binding(
    instance: Instance, given: dict[str, str], binding: dict[str, str]
) -> None:
    created = members_of(instance).create(**given)
    assert (created.messaging_binding, created.identity) == (binding, given.get("identity"))


def test_email_participant_has_name_and_level(instance: Instance) -> None:
    sid = instance.client().conversations.v1.conversations.create().sid
    binding = {"Type": "email", "Address": "a@example.com", "Name": "A", "Level": "CC"}
    form = {f"MessagingBinding.{name}": value for name, value in binding.items()}
    created = instance.call("POST", f"/v1/Conversations/{sid}/Participants", form).body
    assert created["messaging_binding"] == {"type": "email", "address": "a@example.com", "name": "A", "level": "cc"}


def test_participant_can_be_back_dated(instance: Instance) -> None:
    then = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    created = members_of(instance).create(identity="alice", date_created=then, date_updated=then + timedelta(days=1))
    assert (created.date_created, created.date_updated) == (then, then + timedelta(days=1))


@pytest.mark.parametrize(
    ("form", "code", "parameter"),
    [
        ({}, 50204, "Identity"),
        ({"Identity": ""}, 50204, "Identity"),
        ({"Identity": "x" * 257}, 50207, "Identity"),
        ({"Identity": "alice", "MessagingBinding.Address": A1}, 50211, "Identity"),
        ({"MessagingBinding.Address": "me"}, 50407, "MessagingBinding.Address"),
        ({"MessagingBinding.Address": A1, "MessagingBinding.ProjectedAddress": P1}, 50407, "MessagingBinding.Address"),
        ({"MessagingBinding.ProxyAddress": P1}, 50411, "MessagingBinding.Address"),
        ({"MessagingBinding.Address": A1, "MessagingBinding.ProxyAddress": ""}, 50412, "MessagingBinding.ProxyAddress"),
        ({"MessagingBinding.Address": A1, "MessagingBinding.ProxyAddress": A1}, 50409, "MessagingBinding.ProxyAddress"),
        ({"MessagingBinding.Type": "fax", "Identity": "alice"}, 20001, "MessagingBinding.Type"),
        ({"MessagingBinding.Address": A1, "MessagingBinding.Level": "to"}, 50420, "MessagingBinding.Level"),
        ({"Identity": "alice", "Attributes": "{"}, 50304, "Attributes"),
        ({"Identity": "alice", "RoleSid": "admin"}, 50109, "RoleSid"),
        ({"Identity": "alice", "RoleSid": "RL" + "0" * 32}, 50109, "RoleSid"),
        ({"Identity": "alice", "DateCreated": "now"}, 50308, "DateCreated"),
        ({"Identity": "alice", "DateUpdated": "now"}, 50309, "DateUpdated"),
    ],
)
def test_invalid_participant_is_refused_with_parameter_name_and_stores_nothing(
    instance: Instance, form: dict[str, str], code: int, parameter: str
) -> None:
    sid = instance.client().conversations.v1.conversations.create().sid
    before = instance.items("")
    refused = instance.call("POST", f"/v1/Conversations/{sid}/Participants", form)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)
    assert instance.items("") == before


def test_address_not_owned_by_account_is_refused(instance: Instance) -> None:
    members = members_of(instance)
    chatting = members.create(identity="alice")
    instance.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": [P1, f"whatsapp:{P1}"]})
    fine = members.create(**pair())
    for refused, code in (
        (lambda: members.create(**pair(A2, P2)), 50413),
        (lambda: members.create(**pair(f"whatsapp:{A2}", f"whatsapp:{P2}")), 50415),
        (lambda: members.create(**projected(P2)), 50439),
        (lambda: members(fine.sid).update(messaging_binding_proxy_address=P2), 50413),
        (lambda: members(chatting.sid).update(messaging_binding_projected_address=P2), 50439),
    ):
        assert refusal(refused).code == code


@pytest.mark.each_engine
def test_participant_changes_are_refused_while_initializing_closed_or_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    members = v1.conversations(created.sid).participants
    requests = [
        lambda: members.create(identity="bob"),
        members("alice").update,
        lambda: members("alice").update(attributes="1"),
        members("alice").delete,
    ]
    assert [(refusal(each).status, refusal(each).code) for each in requests] == [(409, 50386)] * 4
    instance.work()
    assert members.create(identity="bob").identity == "bob"
    v1.conversations(created.sid).update(state="closed")
    before = instance.items("")
    assert [(refusal(each).status, refusal(each).code) for each in requests] == [(400, 50377)] * 4
    assert instance.items("") == before
    assert members("alice").fetch().identity == "alice"
    v1.conversations(created.sid).delete()
    assert [(refusal(each).status, refusal(each).code) for each in requests] == [(409, 50334)] * 4


# Addressing by identity


@pytest.mark.parametrize("identity", ["alice", "Alice Smith", "ä😀#?", "a&b=c+d%20", "MB", "😀" * 256])
def test_chat_participant_is_addressed_by_identity(instance: Instance, identity: str) -> None:
    sid = instance.client().conversations.v1.conversations.create().sid
    path = f"/v1/Conversations/{sid}/Participants"
    created = instance.call("POST", path, {"Identity": identity}).body
    own = f"{path}/{quote(identity, safe='')}"
    assert instance.call("GET", own).body == created
    assert instance.call("POST", own, {"Attributes": "1"}).body["attributes"] == "1"
    assert instance.call("GET", f"{path}/{quote(identity + 'x', safe='')}").status == 404
    deleted = instance.call("DELETE", own)
    assert (deleted.status, deleted.text) == (204, "")
    assert [instance.call(method, own).status for method in ("GET", "POST", "DELETE")] == [404, 404, 404]
    assert instance.items("identity") == instance.items("participant") == []


@pytest.mark.each_engine
def test_participant_created_with_conversation_is_addressed_by_identity(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=chat(2)).sid
    assert refusal(v1.conversations(sid).participants("member 1").fetch).status == 404
    instance.work()
    assert v1.conversations(sid).participants("member 1").fetch().identity == "member 1"
    assert refusal(lambda: v1.conversations(sid).participants.create(identity="member 1")).code == 50433


@pytest.mark.each_engine
def test_identity_joins_a_conversation_once(instance: Instance) -> None:
    members = members_of(instance)
    members.create(identity="alice")
    before = instance.items("")
    error = refusal(lambda: members.create(identity="alice"))
    assert (error.status, error.code) == (409, 50433)
    assert error.msg.endswith("Participant already exists")
    assert error.details["parameter"] == "Identity"
    assert instance.items("") == before
    members.create(identity="Alice")
    members("alice").delete()
    members.create(identity="alice")
    assert members_of(instance).create(identity="alice")


# Update


@pytest.mark.each_engine
def test_update_changes_given_fields_only(instance: Instance) -> None:
    members = members_of(instance)
    created = members.create(identity="alice", attributes='{"a": 1}')
    (stored,) = instance.items("service")
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"attributes": '{"b": 2}'}, {"attributes": '{"b": 2}'}),
        ({"role_sid": stored["conversation_admin_role_sid"]}, {"role_sid": stored["conversation_admin_role_sid"]}),
        ({"last_read_message_index": 7}, {"last_read_message_index": 7}),
        ({"last_read_timestamp": "2026-01-02T03:04:05Z"}, {"last_read_timestamp": "2026-01-02T03:04:05Z"}),
        ({"date_created": datetime(2020, 1, 1, tzinfo=UTC)}, {"date_created": datetime(2020, 1, 1, tzinfo=UTC)}),
        ({"last_read_message_index": "null"}, {"last_read_message_index": None}),
        ({"last_read_timestamp": "null"}, {"last_read_timestamp": None}),
    ]
    expected = {name: value for name, value in vars(created).items() if not name.startswith("_")}
    for given, changed in steps:
        expected |= changed
        for shown in (members("alice").update(**given), members("alice").fetch()):
            values = {name: value for name, value in vars(shown).items() if not name.startswith("_")}
            assert {**values, "date_updated": None} == {**expected, "date_updated": None}


@pytest.mark.each_engine
def test_update_without_parameters_writes_nothing(instance: Instance) -> None:
    members = members_of(instance)
    members.create(identity="alice")
    before = instance.items("")
    assert members("alice").update().identity == "alice"
    assert instance.items("") == before


@pytest.mark.parametrize(
    ("form", "code", "parameter"),
    [
        ({"Attributes": ""}, 50304, "Attributes"),
        ({"RoleSid": "RL" + "0" * 32}, 50109, "RoleSid"),
        ({"LastReadMessageIndex": "-1"}, 50421, "LastReadMessageIndex"),
        ({"LastReadMessageIndex": "many"}, 50421, "LastReadMessageIndex"),
        ({"LastReadTimestamp": "today"}, 20001, "LastReadTimestamp"),
        ({"DateCreated": "now"}, 50308, "DateCreated"),
        ({"DateUpdated": "now"}, 50309, "DateUpdated"),
        ({"Identity": "bob"}, 50444, "Identity"),
        ({"MessagingBinding.ProxyAddress": "null"}, 50440, "MessagingBinding.ProxyAddress"),
        ({"MessagingBinding.ProxyAddress": P1}, 50441, "MessagingBinding.ProxyAddress"),
        ({"MessagingBinding.ProxyAddress": "x"}, 50408, "MessagingBinding.ProxyAddress"),
        ({"MessagingBinding.ProjectedAddress": "null"}, 50442, "MessagingBinding.ProjectedAddress"),
        ({"MessagingBinding.ProjectedAddress": ""}, 50439, "MessagingBinding.ProjectedAddress"),
    ],
)
def test_invalid_update_of_chat_participant_is_refused(
    instance: Instance, form: dict[str, str], code: int, parameter: str
) -> None:
    sid = instance.client().conversations.v1.conversations.create().sid
    path = f"/v1/Conversations/{sid}/Participants"
    instance.call("POST", path, {"Identity": "alice"})
    before = instance.items("")
    refused = instance.call("POST", f"{path}/alice", form)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)
    assert instance.items("") == before


def test_invalid_update_of_sms_or_whatsapp_participant_is_refused(instance: Instance) -> None:
    members = members_of(instance)
    sms = members(members.create(**pair()).sid)
    group_phone = members(members.create(**phone(A2)).sid)
    whatsapp = members(members.create(**pair(f"whatsapp:{A1}", f"whatsapp:{P1}")).sid)
    abroad = members(members.create(**pair("+4915112345678", P1)).sid)
    for member, given, code in (
        (sms, {"identity": "alice"}, 50444),
        (sms, projected(P2), 50443),
        (sms, projected("null"), 50442),
        (sms, {"messaging_binding_proxy_address": P1}, 50441),
        (sms, {"messaging_binding_proxy_address": P2}, 50441),
        (group_phone, {"messaging_binding_proxy_address": A2}, 50409),
        (group_phone, {"messaging_binding_proxy_address": f"whatsapp:{P2}"}, 50414),
        (whatsapp, {"messaging_binding_proxy_address": "null"}, 50440),
        (abroad, {"messaging_binding_proxy_address": "null"}, 50407),
    ):
        assert refusal(lambda member=member, given=given: member.update(**given)).code == code  # type: ignore[misc]


@pytest.mark.each_engine
def test_projected_address_moves_between_participants(instance: Instance) -> None:
    members = members_of(instance)
    number = members.create(**projected(P1))
    assert refusal(lambda: members(number.sid).update(**projected("null"))).code == 50204
    assert members(number.sid).update(**projected(P2)).messaging_binding["projected_address"] == P2
    assert members(number.sid).update(identity="alice").identity == "alice"
    assert members("alice").fetch().sid == number.sid
    assert refusal(lambda: members("alice").update(identity="bob")).code == 50444
    assert refusal(lambda: members.create(identity="alice")).code == 50433
    assert members("alice").update(**projected("null")).messaging_binding is None
    assert members("alice").update(**projected(P1)).messaging_binding == {"type": "sms", "projected_address": P1}
    other = members.create(**projected(P2))
    assert refusal(lambda: members(other.sid).update(identity="alice")).code == 50433
    both = members(other.sid).update(identity="bob", messaging_binding_projected_address="null")
    assert (both.identity, both.messaging_binding) == ("bob", None)


# Locks


@pytest.mark.each_engine
def test_address_pair_is_used_by_one_open_conversation(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    first = v1.conversations.create().sid
    held = v1.conversations(first).participants.create(**pair())
    second = members_of(instance)
    other_service = v1.services(v1.services.create(friendly_name="other").sid).conversations
    third = other_service(other_service.create().sid).participants
    for members in (second, third, v1.conversations(first).participants):
        error = refusal(lambda members=members: members.create(**pair()))  # type: ignore[misc]
        message = f"A binding for this participant and proxy address already exists in Conversation {first}"
        assert (error.status, error.code) == (409, 50416)
        assert error.msg.endswith(message)
        assert error.details["conflicting_conversation_sid"] == first
    error = refusal(lambda: v1.conversation_with_participants.create(participant=CHAT_AND_SMS))
    assert (error.code, error.details["conflicting_conversation_sid"]) == (50425, first)

    v1.conversations(first).participants(held.sid).delete()
    assert second.create(**pair())


@pytest.mark.each_engine
def test_proxy_address_update_moves_the_lock(instance: Instance) -> None:
    one, other = members_of(instance), members_of(instance)
    first, second = one.create(**pair(A1, P1)), other.create(**pair(A1, P2))
    assert one(first.sid).update(messaging_binding_proxy_address="null").messaging_binding == {
        "type": "sms",
        "address": A1,
    }
    assert refusal(lambda: one(first.sid).update(messaging_binding_proxy_address=P2)).code == 50416
    other(second.sid).delete()
    assert one(first.sid).update(messaging_binding_proxy_address=P2).messaging_binding["proxy_address"] == P2
    assert other.create(**pair(A1, P1))
    assert refusal(lambda: other.create(**pair(A1, P2))).code == 50416


@pytest.mark.each_engine
@pytest.mark.parametrize("end", ["closed", "deleted"])
def test_closing_and_deleting_release_current_address_pairs(instance: Instance, end: str) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    instance.work()
    members = v1.conversations(sid).participants
    (sms,) = [member for member in members.list() if member.messaging_binding]
    members(sms.sid).delete()
    other = members_of(instance)
    other.create(**pair())
    members.create(**pair(A2, P1))
    members.create(**pair(A3, P1))
    if end == "closed":
        v1.conversations(sid).update(state="closed")
    else:
        v1.conversations(sid).delete()
    third = members_of(instance)
    assert refusal(lambda: third.create(**pair())).code == 50416
    assert third.create(**pair(A2, P1))
    assert third.create(**pair(A3, P1))
    assert len(instance.items(P1)) == 3
    if end == "closed":
        v1.conversations(sid).delete()
    assert len(instance.items(P1)) == 3


@pytest.mark.each_engine
def test_sweep_erases_participants_of_deleted_conversation(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create().sid
    for given in ({"identity": "alice"}, pair()):
        v1.conversations(sid).participants.create(**given)
    v1.conversations(sid).delete()
    instance.sweep(timedelta(seconds=1))
    assert {item["sk"] for item in instance.items("") if sid in str(item)} == {"change", f"left#{sid}"}


# Groups


@pytest.mark.each_engine
def test_group_locks_its_numbers_from_third_participant_on(instance: Instance) -> None:
    one, other = members_of(instance), members_of(instance)
    for members in (one, other):
        members.create(**phone(A1))
        members.create(**projected(P1))
    first = one.create(**phone(A2))
    error = refusal(lambda: other.create(**phone(A2)))
    sid = first.conversation_sid
    message = f"Group MMS with given participant list already exists as Conversation {sid}"
    assert (error.status, error.code) == (409, 50438)
    assert error.msg.endswith(message)
    assert (
        refusal(
            lambda: instance.client().conversations.v1.conversation_with_participants.create(participant=GROUP_MMS)
        ).code
        == 50438
    )

    third = other.create(**phone(A3))
    other.create(**phone(A2))
    error = refusal(other(third.sid).delete)
    assert (error.status, error.code, error.details["conflicting_conversation_sid"]) == (409, 50438, sid)
    one(first.sid).delete()
    other(third.sid).delete()
    assert refusal(lambda: one.create(**phone(A2))).code == 50438
    assert len([item for item in instance.items("lock") if "#number-group#" in item["pk"]]) == 1


@pytest.mark.each_engine
def test_group_is_built_with_the_business_number_last(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(v1.conversations.create().sid)
    for number in range(9):
        conversation.participants.create(**phone(f"+1555867{number:04}"))
    error = refusal(lambda: conversation.messages.create(body="Hello", author=P1))
    assert (error.code, error.msg) == (
        50513,
        "Unable to create record: Message author should be among Group MMS participants",
    )
    conversation.participants.create(**projected(P1))
    assert conversation.messages.create(body="Hello", author=P1).author == P1
    assert refusal(lambda: conversation.participants.create(**projected(P2))).code == 50436


@pytest.mark.each_engine
def test_projected_address_update_moves_the_group_lock(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=GROUP_MMS).sid
    instance.work()
    members = v1.conversations(sid).participants
    (number,) = [each for each in members.list() if "projected_address" in each.messaging_binding]
    members(number.sid).update(**projected(P2))
    second = v1.conversation_with_participants.create(participant=GROUP_MMS)
    instance.work()
    assert v1.conversations(second.sid).fetch().state == "active"
    assert refusal(lambda: members(number.sid).update(**projected(P1))).code == 50438


@pytest.mark.parametrize(
    ("existing", "given", "code"),
    [
        ([phone(A1)], phone(A1), 50437),
        ([projected(P1)], projected(P1), 50437),
        ([projected(P1)], phone(P1), 50437),
        ([phone(A1)], projected(A1), 50437),
        ([{"identity": "alice", **projected(P1)}], {"identity": "alice", **projected(P1)}, 50433),
        ([{"identity": "alice", **projected(P1)}, phone(A1), phone(A2)], {"identity": "alice"}, 50433),
        ([{"identity": "alice"}, phone(A1), projected(P1)], {"identity": "alice", **projected(P1)}, 50433),
        ([pair(A1, P1), phone(A2)], pair(A1, P1), 50437),
        ([{"identity": "alice", **projected(P1)}], {"identity": "alice", **projected(P2)}, 50433),
        ([phone(A1), projected(P1), phone(A2)], {"identity": "alice"}, 50434),
        ([{"identity": "alice"}, phone(A1), projected(P1)], phone(A2), 50434),
    ],
)
def test_participant_that_breaks_group_rules_is_refused(
    instance: Instance, existing: list[dict[str, str]], given: dict[str, str], code: int
) -> None:
    members = members_of(instance)
    for each in existing:
        members.create(**each)
    before = instance.items("")
    assert refusal(lambda: members.create(**given)).code == code
    assert instance.items("") == before


def test_group_participants_share_a_projected_address(instance: Instance) -> None:
    members = members_of(instance)
    for each in (phone(A1), phone(A2), {"identity": "alice", **projected(P1)}, {"identity": "bob", **projected(P1)}):
        members.create(**each)
    assert refusal(lambda: members("bob").update(**projected("null"))).code == 50434
    members("bob").delete()
    assert refusal(lambda: members.create(identity="bob")).code == 50434


def test_group_accepts_at_most_ten_participants(instance: Instance) -> None:
    members = members_of(instance)
    members.create(**projected(P1))
    for number in range(9):
        members.create(**phone(f"+1555867{number:04}"))
    assert refusal(lambda: members.create(**phone(A1))).code == 50436
