"""A sender determines which carrier sends the messages of a business address.

See docs/behaviour/senders.md.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from convoke.api.form import Form
from convoke.api.parameters import parse
from convoke.api.resources.senders import CreateSender
from convoke.domain.errors import ConflictError
from convoke.domain.senders import AssignedSender, Provider, Sender, SenderChange, TwilioCredentials
from convoke.operations.senders import SenderOperations
from convoke.program import Edges, Program
from convoke.storage.senders import SenderRepository
from tests.support.aws import AwsInstance, moto_instance
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, call
from tests.support.manual_clock import ManualClock
from tests.support.sids import FixedSid

SENDERS = "/convoke/v1/Senders"
NUMBER, OTHER_NUMBER = "+15017122661", "+15017122662"
SID = "XE" + "0" * 32
CREDENTIALS = {"Twilio.AccountSid": "AC" + "1" * 32, "Twilio.AuthToken": "very-secret-token"}
TWILIO = {"Address": NUMBER, "Provider": "Twilio", **CREDENTIALS}
SIMULATED = {"Address": NUMBER, "Provider": "simulated"}
LIMIT = "MaxMessagesPerSecond"


def edges_of(instance: Instance) -> Edges:
    return instance.edges("api") if isinstance(instance, AwsInstance) else instance.engine.edges  # type: ignore[attr-defined]


def senders_of(instance: Instance) -> SenderOperations:
    return Program(edges_of(instance)).senders


def found(instance: Instance, account_sid: str) -> Sender | None:
    return Program(edges_of(instance)).find_sender(account_sid, NUMBER)


def post_as_other(instance: Instance, path: str, form: dict[str, str] | None = None, method: str = "POST") -> Answer:
    """Create a second account, and send a request with the second account's credentials."""
    other = instance.accounts.create()
    token = instance.accounts.token(other.sid)
    return call(instance.api, method, ORIGIN + path, auth=(other.sid, token), data=form)


@pytest.mark.each_engine
def test_sender_is_created_and_fetched_without_its_secret(instance: Instance) -> None:
    created = instance.call("POST", SENDERS, TWILIO | {"FriendlyName": "Support"})
    assert created.status == 201
    sid = created.body["sid"]
    assert sid.startswith("XE")
    fetched = instance.call("GET", f"{SENDERS}/{sid}").body
    assert (
        fetched
        == created.body
        == {
            "sid": sid,
            "account_sid": instance.account.sid,
            "address": NUMBER,
            "provider": "twilio",
            "friendly_name": "Support",
            "origination_identity": None,
            "configuration_set": None,
            "max_messages_per_second": None,
            "date_created": fetched["date_created"],
            "date_updated": fetched["date_created"],
            "url": f"{ORIGIN}{SENDERS}/{sid}",
        }
    )
    secrets = edges_of(instance).sender_secrets
    assert secrets.fetch(instance.account.sid, sid) == TwilioCredentials(
        account_sid="AC" + "1" * 32, auth_token="very-secret-token"
    )
    assert "very-secret-token" not in json.dumps(instance.items("sender#"))


@pytest.mark.each_engine
def test_address_has_one_sender_in_the_whole_deployment(instance: Instance) -> None:
    sid = instance.call("POST", SENDERS, TWILIO).body["sid"]
    for refused in (instance.call("POST", SENDERS, TWILIO), post_as_other(instance, SENDERS, TWILIO)):
        assert (refused.status, refused.body["code"]) == (409, 20409)
    assert instance.call("GET", f"{SENDERS}/{sid}").body["address"] == NUMBER
    assert len(instance.call("GET", SENDERS).body["senders"]) == 1


@pytest.mark.each_engine
def test_other_account_that_came_first_keeps_the_address(instance: Instance) -> None:
    assert post_as_other(instance, SENDERS, TWILIO).status == 201
    assert instance.call("POST", SENDERS, TWILIO).status == 409
    assert found(instance, instance.account.sid) is None


@pytest.mark.each_engine
def test_simultaneous_create_of_another_account_leaves_no_secret(instance: Instance) -> None:
    """The request finds the address free. Then another account takes the address before the request writes."""
    other, edges = instance.accounts.create(), edges_of(instance)

    class Late(SenderRepository):
        def fetch_by_address(self, address: str) -> None:
            assigned = AssignedSender(address=address, origination_identity="arn")
            senders_of(instance).assign(other.sid, assigned)

    senders = SenderOperations(Late(instance.table), edges.sender_secrets, True, edges.now, FixedSid(SID))
    with pytest.raises(ConflictError):
        senders.create(instance.account, parse(CreateSender, Form([*TWILIO.items()])))
    assert edges.sender_secrets.fetch(instance.account.sid, SID) is None
    sender = found(instance, other.sid)
    assert sender
    assert sender.provider is Provider.AWS


@pytest.mark.each_engine
def test_deleted_sender_frees_its_address_and_its_secret(instance: Instance) -> None:
    sid = instance.call("POST", SENDERS, TWILIO).body["sid"]
    assert instance.call("DELETE", f"{SENDERS}/{sid}").status == 204
    for method in ("GET", "POST", "DELETE"):
        assert instance.call(method, f"{SENDERS}/{sid}").status == 404
    assert edges_of(instance).sender_secrets.fetch(instance.account.sid, sid) is None
    assert SenderRepository(instance.table).fetch_by_sid(sid) is None
    assert post_as_other(instance, SENDERS, TWILIO).status == 201


@pytest.mark.each_engine
def test_update_changes_given_fields(clocked: Instance, clock: ManualClock) -> None:
    sid = clocked.call("POST", SENDERS, TWILIO).body["sid"]
    clock.move(timedelta(seconds=5))
    path = f"{SENDERS}/{sid}"
    unchanged = clocked.call("POST", path, {}).body
    assert unchanged["date_updated"] == unchanged["date_created"]
    updated = clocked.call("POST", path, {"FriendlyName": "Sales", "Provider": "simulated", "Address": "+1"}).body
    assert (updated["friendly_name"], updated["provider"], updated["address"]) == ("Sales", "twilio", NUMBER)
    assert updated["date_updated"] > updated["date_created"]
    assert clocked.call("POST", path, CREDENTIALS | {"Twilio.AuthToken": "rotated"}).status == 200
    secret = edges_of(clocked).sender_secrets.fetch(clocked.account.sid, sid)
    assert secret
    assert secret.auth_token == "rotated"
    refused = clocked.call("POST", path, {"Twilio.AuthToken": "alone"})
    assert (refused.status, refused.body["details"]["parameter"]) == (400, "Twilio.AccountSid")


@pytest.mark.each_engine
def test_limit_is_stored_changed_and_removed(instance: Instance) -> None:
    created = instance.call("POST", SENDERS, TWILIO | {LIMIT: "500"}).body
    path = f"{SENDERS}/{created['sid']}"
    limits = [created["max_messages_per_second"]]
    for form in ({"FriendlyName": "Sales"}, {LIMIT: "1"}, {LIMIT: ""}):
        instance.call("POST", path, form)
        limits.append(instance.call("GET", path).body["max_messages_per_second"])
    assert limits == [500, 500, 1, None]
    refused = instance.call("POST", path, {LIMIT: "0"})
    assert refused.body["message"] == "MaxMessagesPerSecond must be an integer from 1 to 500"


def test_account_cannot_change_the_limit_of_an_assigned_sender(instance: Instance) -> None:
    requested = AssignedSender(address=NUMBER, origination_identity="arn", max_messages_per_second=3)
    path = f"{SENDERS}/{senders_of(instance).assign(instance.account.sid, requested).sid}"
    for limit in ("9", ""):
        refused = instance.call("POST", path, {LIMIT: limit})
        assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, LIMIT)
    assert instance.call("POST", path, {"FriendlyName": "Sales"}).body["max_messages_per_second"] == 3


def test_update_does_not_bring_a_deleted_sender_back(instance: Instance) -> None:
    sid = instance.call("POST", SENDERS, SIMULATED).body["sid"]
    repository = SenderRepository(instance.table)
    read = repository.fetch(instance.account.sid, sid)
    assert read
    assert repository.delete(read)
    assert not repository.delete(read)
    assert repository.update(read, SenderChange(friendly_name="late"), read.date_created) is None
    assert instance.items("sender#") == []


@pytest.mark.parametrize(
    ("form", "code", "parameter"),
    [
        ({"Provider": "twilio"}, 50412, "Address"),
        (TWILIO | {"Address": "+1"}, 50408, "Address"),
        ({"Address": NUMBER}, 20001, "Provider"),
        ({"Address": NUMBER, "Provider": "carrier pigeon"}, 20001, "Provider"),
        ({"Address": NUMBER, "Provider": "aws"}, 20001, "Provider"),
        ({"Address": NUMBER, "Provider": "twilio"}, 20001, "Twilio.AccountSid"),
        ({**TWILIO, "Twilio.AccountSid": "AC1"}, 20001, "Twilio.AccountSid"),
        ({**TWILIO, "Twilio.AuthToken": "with space"}, 20001, "Twilio.AuthToken"),
        ({"Address": NUMBER, "Provider": "twilio", "Twilio.AccountSid": "AC" + "1" * 32}, 20001, "Twilio.AuthToken"),
        ({**TWILIO, "Address": "hello@example.com"}, 20001, "Address"),
        (SIMULATED | {"FriendlyName": "x" * 257}, 50003, "FriendlyName"),
        *((SIMULATED | {LIMIT: wrong}, 20001, LIMIT) for wrong in ("0", "501", "-1", "1.5", "many", "1" * 5000)),
    ],
)
def test_invalid_sender_is_refused_and_not_stored(
    instance: Instance, form: dict[str, str], code: int, parameter: str
) -> None:
    refused = instance.call("POST", SENDERS, form)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)
    assert "very-secret-token" not in json.dumps(refused.body)
    assert instance.items("sender") == []


def test_account_with_owned_addresses_sends_only_from_them(instance: Instance) -> None:
    instance.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": [OTHER_NUMBER]})
    refused = instance.call("POST", SENDERS, SIMULATED)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "Address")
    assert instance.call("POST", SENDERS, SIMULATED | {"Address": OTHER_NUMBER}).status == 201


def test_senders_are_listed_oldest_first_over_pages(instance: Instance) -> None:
    forms = [SIMULATED | {"Address": f"+1501712266{number}"} for number in range(3)]
    made = [instance.call("POST", SENDERS, form).body["sid"] for form in forms]
    page = instance.call("GET", f"{SENDERS}?PageSize=2").body
    rest = instance.call("GET", page["meta"]["next_page_url"].removeprefix(ORIGIN)).body
    assert [each["sid"] for each in page["senders"] + rest["senders"]] == made


def test_sender_of_another_account_is_not_found(instance: Instance) -> None:
    sid = instance.call("POST", SENDERS, TWILIO).body["sid"]
    for method in ("GET", "POST", "DELETE"):
        assert post_as_other(instance, f"{SENDERS}/{sid}", {}, method).status == 404
    assert edges_of(instance).sender_secrets.fetch(instance.account.sid, sid) is not None


def test_address_without_sender_is_simulated_on_one_machine(embedded: EmbeddedInstance) -> None:
    sender = found(embedded, embedded.account.sid)
    assert sender
    assert sender.provider is Provider.SIMULATED
    embedded.call("POST", SENDERS, TWILIO)
    sender = found(embedded, embedded.account.sid)
    assert sender
    assert sender.provider is Provider.TWILIO


def test_aws_simulates_no_phones() -> None:
    with moto_instance() as instance:
        assert found(instance, instance.account.sid) is None
        refused = instance.call("POST", SENDERS, SIMULATED)
    assert (refused.status, refused.body["details"]["parameter"]) == (400, "Provider")
