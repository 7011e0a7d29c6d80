"""One request creates a conversation with participants. See docs/behaviour/conversation-with-participants.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

import pytest

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.events import ErrorLogType, Event
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, Instance, held_instance, refusal


@pytest.mark.each_engine
def test_chat_and_sms_conversation_becomes_active_with_both_participants(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(friendly_name="Visit", participant=CHAT_AND_SMS)
    assert created.state == "initializing"

    polled = v1.conversations(created.sid)
    assert polled.fetch().state == "initializing"
    assert polled.participants.list() == []

    instance.work()
    assert polled.fetch().state == "active"
    sms, alice = polled.participants.list()
    assert (sms.identity, sms.messaging_binding) == (
        None,
        {"type": "sms", "address": "+15558675310", "proxy_address": "+15017122661"},
    )
    assert (alice.identity, alice.messaging_binding) == ("alice", None)
    assert sms.role_sid
    assert sms.role_sid == alice.role_sid


@pytest.mark.each_engine
def test_group_mms_participants_have_expected_bindings(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(participant=GROUP_MMS)
    instance.work()
    first, second, business = v1.conversations(created.sid).participants.list()
    assert v1.conversations(created.sid).fetch().state == "active"
    assert first.messaging_binding == {"type": "sms", "address": "+15558675310"}
    assert second.messaging_binding == {"type": "sms", "address": "+15558675311"}
    assert business.messaging_binding == {"type": "sms", "projected_address": "+15017122661"}
    assert (first.role_sid, second.role_sid) == (None, None)
    assert business.role_sid


def test_response_has_expected_fields(instance: Instance) -> None:
    path = "/v1/ConversationWithParticipants"
    answered = instance.call("POST", path, {"FriendlyName": "Visit", "Participant": CHAT_AND_SMS})
    assert answered.status == 202
    sid = answered.body["sid"]
    url = f"{ORIGIN}/v1/Conversations/{sid}"
    (stored,) = instance.items("conversation")
    date = str(stored["date_created"])[:19] + "Z"
    assert answered.body == {
        "sid": sid,
        "account_sid": instance.account.sid,
        "chat_service_sid": instance.account.default_chat_service_sid,
        "messaging_service_sid": instance.account.default_messaging_service_sid,
        "friendly_name": "Visit",
        "unique_name": None,
        "attributes": "{}",
        "date_created": date,
        "date_updated": date,
        "state": "initializing",
        "timers": {},
        "bindings": {},
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
        },
    }


def test_participant_has_expected_fields(instance: Instance) -> None:
    sid = instance.call("POST", "/v1/ConversationWithParticipants", {"Participant": chat(1)}).body["sid"]
    instance.work()
    (member,) = instance.call("GET", f"/v1/Conversations/{sid}/Participants").body["participants"]
    role_sid = member["role_sid"]
    assert role_sid.startswith("RL")
    assert member == {
        "account_sid": instance.account.sid,
        "conversation_sid": sid,
        "sid": member["sid"],
        "identity": "member 0",
        "attributes": "{}",
        "messaging_binding": None,
        "role_sid": role_sid,
        "date_created": member["date_created"],
        "date_updated": member["date_created"],
        "url": f"{ORIGIN}/v1/Conversations/{sid}/Participants/{member['sid']}",
        "last_read_message_index": None,
        "last_read_timestamp": None,
    }
    assert instance.call("GET", f"/v1/Conversations/{sid}/Participants/{member['sid']}").body == member


@pytest.mark.each_engine
def test_every_parameter_is_returned(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(
        friendly_name="Visit",
        unique_name="visit 7 / 🙂",
        date_created="2020-01-01T01:00:00+01:00",
        date_updated="2020-02-01T00:00:00Z",
        messaging_service_sid="MG" + "0" * 32,
        attributes='{ "topic": "feedback" }',
        state="inactive",
        timers_inactive="PT1M",
        timers_closed="PT10M",
        bindings_email_address="a@example.com",
        bindings_email_name="A",
        participant=['{"identity": "alice", "attributes": {"a": 1}, "date_created": "2020-01-01T00:00:00Z"}'],
    )
    assert created.date_created.isoformat() == "2020-01-01T00:00:00+00:00"
    assert created.date_updated.isoformat() == "2020-02-01T00:00:00+00:00"
    assert created.unique_name == "visit 7 / 🙂"
    assert created.attributes == '{ "topic": "feedback" }'
    assert created.messaging_service_sid == "MG" + "0" * 32
    assert created.bindings == {"email": {"projected_address": "a@example.com", "name": "A"}}
    assert created.timers == {}

    instance.work()
    ended = v1.conversations(created.sid).fetch()
    assert ended.state == "inactive"
    assert set(ended.timers) == {"date_inactive", "date_closed"}
    (alice,) = v1.conversations(created.sid).participants.list()
    assert json.loads(alice.attributes) == {"a": 1}
    assert alice.date_created.isoformat() == "2020-01-01T00:00:00+00:00"


@pytest.mark.each_engine
def test_conversation_without_participants_is_created_in_requested_state(instance: Instance) -> None:
    answered = instance.call("POST", "/v1/ConversationWithParticipants", {"State": "Inactive"})
    assert (answered.status, answered.body["state"]) == (201, "inactive")
    instance.work()
    fetched = instance.client().conversations.v1.conversations(answered.body["sid"]).fetch()
    assert (fetched.state, fetched.friendly_name) == ("inactive", None)


@pytest.mark.each_engine
def test_urls_in_service_tree_contain_the_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="Support")
    created = v1.services(service.sid).conversation_with_participants.create(participant=chat(2))
    base = f"{ORIGIN}/v1/Services/{service.sid}/Conversations/{created.sid}"
    assert (created.chat_service_sid, created.url) == (service.sid, base)
    assert created.links["participants"] == f"{base}/Participants"

    instance.work()
    conversation = v1.services(service.sid).conversations(created.sid)
    assert conversation.fetch().state == "active"
    member = conversation.participants.list()[0]
    assert (member.chat_service_sid, member.url) == (service.sid, f"{base}/Participants/{member.sid}")


def test_conversation_of_another_service_is_not_found_on_short_path(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services.create(friendly_name="Support")
    created = v1.services(service.sid).conversation_with_participants.create(participant=chat(1))
    assert refusal(v1.conversations(created.sid).fetch).code == 20404
    default = v1.conversation_with_participants.create(participant=chat(1))
    default_service = v1.services(instance.account.default_chat_service_sid)
    assert default_service.conversations(default.sid).fetch().sid == default.sid


@pytest.mark.each_engine
def test_conversation_is_found_by_unique_name_with_any_characters(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    for name in ("order 12", "größe", "🙂", "a#b", 'say "hi"', "back\\slash", "100%25", "a+b&c|d"):
        created = v1.conversation_with_participants.create(unique_name=name, participant=chat(1))
        found = instance.call("GET", f"/v1/Conversations/{quote(name, safe='')}")
        assert found.body.get("sid") == created.sid, name


def test_names_with_a_question_mark_are_found_on_the_embedded_engine(instance: Instance) -> None:
    """On AWS, Convoke refuses these names. See tests/functions/test_http_api_paths.py."""
    name = "what?"
    created = instance.client().conversations.v1.conversations.create(unique_name=name)
    path = f"/v1/Conversations/{quote(name, safe='')}"
    assert instance.call("GET", path).body["sid"] == created.sid
    added = instance.call("POST", f"{path}/Participants", {"Identity": name}).body["sid"]
    assert instance.call("GET", f"{path}/Participants/{quote(name, safe='')}").body["sid"] == added


@pytest.mark.each_engine
@pytest.mark.parametrize("count", [1, 2, 10])
def test_up_to_ten_participants_are_added_in_request_order(instance: Instance, count: int) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(participant=chat(count))
    instance.work()
    members = v1.conversations(created.sid).participants.list()
    assert [member.identity for member in members] == [f"member {number}" for number in range(count)]


def test_eleven_participants_are_refused(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    assert refusal(lambda: create(participant=chat(11))).code == 50426


@pytest.mark.parametrize("value", ["nonsense", "[]", "null", "7", '"alice"'])
def test_participant_that_is_not_a_json_object_is_refused(instance: Instance, value: str) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    error = refusal(lambda: create(participant=[*chat(1), value]))
    assert (error.status, error.code, error.details["parameter"]) == (400, 50424, "Participant[1]")


@pytest.mark.each_engine
def test_taken_unique_name_is_refused_with_conflicting_sid(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    first = create(unique_name="visit", participant=chat(1))
    error = refusal(lambda: create(unique_name="visit"))
    assert (error.status, error.code) == (409, 50353)
    assert error.details == {
        "parameter": "UniqueName",
        "rule": "unique_name_taken",
        "conflicting_conversation_sid": first.sid,
    }


@pytest.mark.each_engine
def test_address_pair_in_use_is_refused_with_conflicting_sid(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    first = create(participant=CHAT_AND_SMS)
    error = refusal(lambda: create(participant=[*chat(1), CHAT_AND_SMS[0]]))
    assert (error.status, error.code) == (409, 50425)
    assert first.sid in error.msg
    assert error.details["conflicting_conversation_sid"] == first.sid
    assert error.details["parameter"] == "Participant[1].messaging_binding"


@pytest.mark.each_engine
def test_group_with_same_numbers_is_refused_with_conflicting_sid(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    first = create(participant=GROUP_MMS)
    error = refusal(lambda: create(participant=list(reversed(GROUP_MMS))))
    assert (error.status, error.code, error.msg[-34:]) == (409, 50438, first.sid)


@pytest.mark.each_engine
def test_refused_request_stores_nothing(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    create(unique_name="first", participant=CHAT_AND_SMS)
    instance.work()
    before = instance.items("")
    refusal(lambda: create(unique_name="second", participant=CHAT_AND_SMS))
    refusal(lambda: create(unique_name="third", participant=chat(11)))
    instance.work()
    assert instance.items("") == before


class AdmissionSwitch:
    """An admission rule that refuses every participant while `closed` is true."""

    def __init__(self) -> None:
        self.closed = True

    def __call__(self, provisioning: Provisioning, participant: Participant) -> None:
        if self.closed:
            raise InvalidRoleSidError


def test_participant_that_cannot_be_added_closes_conversation_and_releases_locks() -> None:
    admission = AdmissionSwitch()
    with held_instance(admit=admission) as instance:
        v1 = instance.client().conversations.v1
        v1.configuration.webhooks().update(
            post_webhook_url="https://hooks.example.com/x", filters=["onConversationStateUpdated"]
        )
        request = {"unique_name": "visit", "participant": CHAT_AND_SMS}
        failed = v1.conversation_with_participants.create(**request)
        instance.work()
        assert v1.conversations(failed.sid).fetch().state == "closed"
        (delivery,) = instance.receivers.posted
        assert (delivery.event.payload["StateFrom"], delivery.event.payload["StateTo"]) == ("initializing", "closed")

        (alert,) = instance.items("alert")
        assert (alert["code"], alert["resource_sid"]) == (50427, failed.sid)
        assert [cause["code"] for cause in alert["causes"]] == [50109, 50109]

        admission.closed = False
        retried = v1.conversation_with_participants.create(**request)
        instance.work()
        assert v1.conversations(retried.sid).fetch().state == "active"
        assert v1.conversations("visit").fetch().sid == retried.sid


def test_failed_group_releases_its_numbers() -> None:
    admission = AdmissionSwitch()
    with held_instance(admit=admission) as instance:
        v1 = instance.client().conversations.v1
        failed = v1.conversation_with_participants.create(participant=GROUP_MMS)
        instance.work()
        assert v1.conversations(failed.sid).fetch().state == "closed"
        admission.closed = False
        assert v1.conversation_with_participants.create(participant=GROUP_MMS).state == "initializing"


def test_conversation_with_all_participants_is_never_closed_by_retries() -> None:
    class BrokenBus:
        def publish(self, events: Sequence[Event]) -> None:
            if not all(isinstance(event.type, ErrorLogType) for event in events):
                raise OSError("the bus is gone")

    with held_instance(event_bus=BrokenBus(), provisioning_retries=ProvisioningRetries(max_attempts=2)) as instance:
        v1 = instance.client().conversations.v1
        created = v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
        instance.work()
        for number in range(5):
            assert instance.sweep(timedelta(days=2 * number + 1)) == 1
            instance.work()
        assert v1.conversations(created.sid).fetch().state == "active"
        assert len(v1.conversations(created.sid).participants.list()) == 2


@pytest.mark.each_engine
def test_settled_event_is_not_published_again_by_repeated_message(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(
        post_webhook_url="https://hooks.example.com/x", filters=["onConversationStateUpdated"]
    )
    v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    (record,) = instance.items("provisioning")
    instance.work()
    for _ in range(3):
        instance.repeat(record)
        instance.work()
    assert len(instance.receivers.posted) == 1


def test_email_names_over_256_characters_are_refused(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    binding = {"type": "email", "address": "a@example.com", "name": "n" * 257}
    error = refusal(lambda: create(participant=[json.dumps({"messaging_binding": binding})]))
    assert (error.code, error.details["parameter"]) == (20001, "Participant[0].messaging_binding.name")
    assert refusal(lambda: create(bindings_email_name="n" * 257)).details["parameter"] == "Bindings.Email.Name"


def test_unexpected_error_closes_conversation_after_last_attempt() -> None:
    def broken(provisioning: Provisioning, participant: Participant) -> None:
        raise RuntimeError("the unexpected")

    with held_instance(admit=broken, provisioning_retries=ProvisioningRetries(max_attempts=3)) as instance:
        v1 = instance.client().conversations.v1
        created = v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
        instance.work()
        states = []
        for _ in range(4):
            instance.sweep(ProvisioningRetries().max_pause)
            instance.work()
            states.append(v1.conversations(created.sid).fetch().state)
        assert states == ["initializing", "initializing", "initializing", "closed"]
        (alert,) = instance.items("alert")
        assert [cause["code"] for cause in alert["causes"]] == [20500]
        assert instance.sweep(ProvisioningRetries().max_pause) == 0
