"""Clients create, fetch, list, update and delete address configurations.

See docs/behaviour/address-configurations.md.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from convoke.domain.address_configurations import AddressConfigurationChange, AddressType
from convoke.storage.address_configurations import AddressConfigurationRepository
from convoke.storage.paging import MIN_ITEMS_WITH_FILTER
from tests.support.aws import moto_instance
from tests.support.instances import ORIGIN, Instance, refusal
from tests.support.manual_clock import ManualClock

PHONE = "+15017122661"
URL = "https://hooks.example.com/"
FLOW = "FW" + "0" * 32
PATH = "/v1/Configuration/Addresses"


def addresses(instance: Instance) -> Any:
    return instance.client().conversations.v1.address_configurations


def test_configuration_without_autocreation(instance: Instance) -> None:
    created = addresses(instance).create(type="SMS", address=PHONE)
    fetched = instance.call("GET", f"{PATH}/{created.sid}").body
    assert fetched == {
        "account_sid": instance.account.sid,
        "sid": created.sid,
        "address": PHONE,
        "type": "sms",
        "friendly_name": None,
        "address_country": None,
        "auto_creation": {"enabled": False, "type": "default"},
        "date_created": fetched["date_created"],
        "date_updated": fetched["date_created"],
        "url": f"{ORIGIN}{PATH}/{created.sid}",
    }
    assert created.sid.startswith("IG")


@pytest.mark.each_engine
def test_webhook_configuration_is_stored(instance: Instance) -> None:
    service_sid = instance.client().conversations.v1.services.create(friendly_name="Support").sid
    created = addresses(instance).create(
        type="sms",
        address=PHONE,
        friendly_name="Hotline",
        address_country="us",
        auto_creation_enabled=True,
        auto_creation_type="webhook",
        auto_creation_conversation_service_sid=service_sid,
        auto_creation_webhook_url=URL,
        auto_creation_webhook_method="get",
        auto_creation_webhook_filters=["onParticipantAdded", "onMessageAdded"],
    )
    assert (created.friendly_name, created.address_country) == ("Hotline", "US")
    assert addresses(instance)(created.sid).fetch().auto_creation == {
        "enabled": True,
        "type": "webhook",
        "conversation_service_sid": service_sid,
        "webhook_url": URL,
        "webhook_method": "GET",
        "webhook_filters": ["onParticipantAdded", "onMessageAdded"],
    }


def test_defaults_of_webhook_and_studio(instance: Instance) -> None:
    webhook = addresses(instance).create(
        type="sms", address=PHONE, auto_creation_type="webhook", auto_creation_webhook_url=URL
    )
    assert webhook.auto_creation == {
        "enabled": False,
        "type": "webhook",
        "webhook_url": URL,
        "webhook_method": "POST",
        "webhook_filters": [],
    }
    studio = addresses(instance).create(
        type="email", address="help@example.com", auto_creation_type="studio", auto_creation_studio_flow_sid=FLOW
    )
    assert studio.auto_creation == {
        "enabled": False,
        "type": "studio",
        "studio_flow_sid": FLOW,
        "studio_retry_count": 0,
    }


@pytest.mark.parametrize(
    ("address_type", "address"),
    [
        ("sms", "501"),
        ("sms", "12345678"),
        ("WhatsApp", "whatsapp:+15017122661"),
        ("messenger", "messenger:1234"),
        ("email", "help@example.com"),
        ("rcs", "rcs:agent_1"),
        ("gbm", "gbm:brand"),
        ("apple", "urn:mbid:AQAAYyUbut6E4B3T9FLv5EbG"),
        ("chat", "support"),
    ],
)
def test_address_is_found_by_itself(instance: Instance, address_type: str, address: str) -> None:
    created = addresses(instance).create(type=address_type, address=address)
    assert (created.type, created.address) == (address_type.lower(), address)
    assert addresses(instance)(address).fetch().sid == created.sid


@pytest.mark.parametrize(
    ("given", "code", "parameter", "message"),
    [
        ({"Address": PHONE}, 20001, "Type", "Type must be sms, whatsapp, messenger, email, rcs, gbm, apple or chat"),
        ({"Type": "fax", "Address": PHONE}, 20001, "Type", "Type must be sms"),
        ({"Type": "sms"}, 20001, "Address", "Address must be 1 to 256 characters"),
        ({"Type": "chat", "Address": "e" * 257}, 20001, "Address", "Address must be 1 to 256 characters"),
        ({"Type": "sms", "Address": "123456789"}, 20001, "Address", "Address must be a phone number"),
        ({"Type": "sms", "Address": "50"}, 20001, "Address", "Address must be a phone number"),
        ({"Type": "sms", "Address": "whatsapp:+15017122661"}, 20001, "Address", "Address must be a phone number"),
        ({"Type": "whatsapp", "Address": PHONE}, 20001, "Address", "Address must be whatsapp: and a phone number"),
        ({"Type": "whatsapp", "Address": "12345"}, 20001, "Address", "Address must be whatsapp: and a phone number"),
        ({"Type": "email", "Address": "help"}, 20001, "Address", "Address must be an e-mail address"),
        ({"AddressCountry": "USA"}, 20001, "AddressCountry", "AddressCountry must be a country code of two letters"),
        ({"FriendlyName": "e" * 257}, 50003, "FriendlyName", ""),
        ({"AutoCreation.Enabled": "yes"}, 20001, "AutoCreation.Enabled", "must be true or false"),
        ({"AutoCreation.Type": "flow"}, 20001, "AutoCreation.Type", "must be webhook, studio or default"),
        ({"AutoCreation.ConversationServiceSid": "IS"}, 20423, "AutoCreation.ConversationServiceSid", ""),
        (
            {"AutoCreation.ConversationServiceSid": "IS" + "0" * 32},
            20001,
            "AutoCreation.ConversationServiceSid",
            "must be the SID of a service of this account",
        ),
        ({"AutoCreation.Type": "webhook"}, 50369, "AutoCreation.WebhookUrl", ""),
        ({"AutoCreation.WebhookUrl": ""}, 50369, "AutoCreation.WebhookUrl", ""),
        ({"AutoCreation.WebhookUrl": "ftp://example.com"}, 50054, "AutoCreation.WebhookUrl", ""),
        ({"AutoCreation.WebhookUrl": URL + "e" * 500}, 50372, "AutoCreation.WebhookUrl", ""),
        ({"AutoCreation.WebhookMethod": "put"}, 50055, "AutoCreation.WebhookMethod", ""),
        (
            {"AutoCreation.WebhookFilters": ["onMessageAdded", "onMessageAdd"]},
            50365,
            "AutoCreation.WebhookFilters[1]",
            "",
        ),
        ({"AutoCreation.Type": "studio"}, 50367, "AutoCreation.StudioFlowSid", ""),
        ({"AutoCreation.StudioFlowSid": "FW"}, 50367, "AutoCreation.StudioFlowSid", ""),
        ({"AutoCreation.StudioRetryCount": "4"}, 20001, "AutoCreation.StudioRetryCount", "an integer from 0 to 3"),
    ],
)
def test_create_is_validated(
    instance: Instance, given: dict[str, Any], code: int, parameter: str, message: str
) -> None:
    complete = given if {"Type", "Address"} & given.keys() else {"Type": "sms", "Address": PHONE} | given
    answered = instance.call("POST", PATH, complete)
    assert (answered.status, answered.body["code"]) == (400, code)
    assert answered.body["details"]["parameter"] == parameter
    assert message in answered.body["message"]
    assert instance.items("address#") == []


@pytest.mark.each_engine
def test_address_has_one_configuration(instance: Instance) -> None:
    first = addresses(instance).create(type="sms", address=PHONE)
    error = refusal(lambda: addresses(instance).create(type="sms", address=PHONE, friendly_name="again"))
    assert (error.status, error.code, error.details) == (409, 20409, {"reason": "address_configured"})
    assert [each.sid for each in addresses(instance).list()] == [first.sid]
    other = instance.accounts.create()
    theirs = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1.address_configurations
    assert theirs.create(type="sms", address=PHONE).account_sid == other.sid
    assert addresses(instance)(PHONE).delete()
    assert addresses(instance).create(type="sms", address=PHONE).sid != first.sid


@pytest.mark.each_engine
def test_concurrent_creates_make_one_configuration(instance: Instance) -> None:
    def create(_: int) -> int:
        return instance.call("POST", PATH, {"Type": "sms", "Address": PHONE}).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(8)))
    assert statuses == [201] + [409] * 7
    assert len(addresses(instance).list()) == 1


@pytest.mark.each_engine
def test_update_changes_given_fields(clocked: Instance, clock: ManualClock) -> None:
    created = addresses(clocked).create(
        type="sms", address=PHONE, friendly_name="Hotline", auto_creation_type="webhook", auto_creation_webhook_url=URL
    )
    clock.move(timedelta(seconds=5))
    assert addresses(clocked)(created.sid).update().date_updated == created.date_updated
    updated = addresses(clocked)(PHONE).update(auto_creation_enabled=True, auto_creation_webhook_method="GET")
    assert updated.date_updated == created.date_created + timedelta(seconds=5)
    assert updated.auto_creation == created.auto_creation | {"enabled": True, "webhook_method": "GET"}
    studio = addresses(clocked)(created.sid).update(
        friendly_name="Studio",
        auto_creation_type="studio",
        auto_creation_studio_flow_sid=FLOW,
        auto_creation_studio_retry_count=3,
    )
    assert (studio.sid, studio.address, studio.friendly_name) == (created.sid, PHONE, "Studio")
    assert studio.auto_creation == {
        "enabled": True,
        "type": "studio",
        "studio_flow_sid": FLOW,
        "studio_retry_count": 3,
    }
    back = addresses(clocked)(created.sid).update(auto_creation_type="webhook")
    assert back.auto_creation["webhook_url"] == URL


def test_update_that_leaves_a_required_setting_open_is_refused(instance: Instance) -> None:
    sid = addresses(instance).create(type="sms", address=PHONE).sid
    error = refusal(lambda: addresses(instance)(sid).update(auto_creation_type="studio", friendly_name="Studio"))
    assert (error.code, error.details["parameter"]) == (50367, "AutoCreation.StudioFlowSid")
    error = refusal(lambda: addresses(instance)(sid).update(auto_creation_type="webhook"))
    assert (error.code, error.details["parameter"]) == (50369, "AutoCreation.WebhookUrl")
    error = refusal(lambda: addresses(instance)(sid).update(auto_creation_conversation_service_sid="IS" + "0" * 32))
    assert (error.code, error.details["parameter"]) == (20001, "AutoCreation.ConversationServiceSid")
    assert addresses(instance)(sid).fetch().friendly_name is None


def test_webhook_on_a_private_network_is_refused_on_aws() -> None:
    with moto_instance() as instance:
        private = {"AutoCreation.WebhookUrl": "http://10.0.0.1/"}
        refused = instance.call("POST", PATH, {"Type": "sms", "Address": PHONE} | private)
        assert (refused.body["code"], refused.body["details"]["parameter"]) == (50054, "AutoCreation.WebhookUrl")
        sid = addresses(instance).create(type="sms", address=PHONE).sid
        assert instance.call("POST", f"{PATH}/{sid}", private).body["code"] == 50054


def test_account_must_own_the_address(instance: Instance) -> None:
    instance.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": PHONE})
    assert addresses(instance).create(type="sms", address=PHONE).address == PHONE
    error = refusal(lambda: addresses(instance).create(type="sms", address="+15017122662"))
    assert (error.code, error.details["parameter"]) == (20001, "Address")
    assert addresses(instance).create(type="sms", address="12345").address == "12345"


@pytest.mark.each_engine
def test_configurations_are_listed_oldest_first_and_filtered_by_type(instance: Instance) -> None:
    texts = [addresses(instance).create(type="sms", address=f"+1501712266{digit}").sid for digit in range(5)]
    mail = addresses(instance).create(type="email", address="help@example.com").sid
    assert [each.sid for each in addresses(instance).list(page_size=2)] == [*texts, mail]
    assert [each.sid for each in addresses(instance).list(type="SMS", page_size=2)] == texts
    assert [each.sid for each in addresses(instance).list(type="email", page_size=2)] == [mail]
    assert addresses(instance).list(type="rcs") == []
    first = instance.call("GET", f"{PATH}?Type=sms&PageSize=2").body["meta"]
    assert first["first_page_url"] == f"{ORIGIN}{PATH}?Type=sms&PageSize=2&Page=0"
    second = instance.call("GET", first["next_page_url"].removeprefix(ORIGIN)).body
    assert [each["sid"] for each in second["address_configurations"]] == texts[2:4]
    back = instance.call("GET", second["meta"]["previous_page_url"].removeprefix(ORIGIN)).body
    assert [each["sid"] for each in back["address_configurations"]] == texts[:2]
    assert back["meta"]["previous_page_url"] is None
    assert instance.call("GET", f"{PATH}?PageSize=500").body["meta"]["page_size"] == 50


def test_filtered_list_goes_on_after_a_page_without_matches(instance: Instance) -> None:
    repository = AddressConfigurationRepository(instance.table)
    addresses(instance).create(type="rcs", address="rcs:first")
    first = addresses(instance).list(type="rcs")[0]
    template = repository.fetch(instance.account.sid, first.sid)
    assert template is not None
    for number in range(MIN_ITEMS_WITH_FILTER + 10):
        sid = f"{first.sid[:-6]}{number + 0x100000:06x}"
        other = {"sid": sid, "address": f"chat {number}", "type": AddressType.CHAT}
        assert repository.create(template.model_copy(update=other))
    last = addresses(instance).create(type="email", address="help@example.com")
    page = instance.call("GET", f"{PATH}?Type=email").body
    assert page["address_configurations"] == []
    assert page["meta"]["next_page_url"]
    assert [each.sid for each in addresses(instance).list(type="email")] == [last.sid]
    assert len(addresses(instance).list(type="chat")) == MIN_ITEMS_WITH_FILTER + 10


def test_unknown_type_in_the_filter_is_refused(instance: Instance) -> None:
    refused = instance.call("GET", f"{PATH}?Type=fax")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "Type")


@pytest.mark.each_engine
def test_deleted_configuration_is_gone(instance: Instance) -> None:
    before = instance.items("")
    created = addresses(instance).create(type="sms", address=PHONE)
    repository = AddressConfigurationRepository(instance.table)
    read = repository.fetch(instance.account.sid, created.sid)
    assert read is not None
    assert addresses(instance)(created.sid).delete()
    assert instance.items("") == before
    for name in (created.sid, PHONE):
        path = f"{PATH}/{quote(name, safe='')}"
        for method in ("GET", "POST", "DELETE"):
            assert instance.call(method, path, {"FriendlyName": "late"}).body["code"] == 20404
    again = addresses(instance).create(type="sms", address=PHONE)
    assert not repository.delete(read)
    assert repository.update(read, AddressConfigurationChange(friendly_name="late"), read.date_created) is None
    assert [each.sid for each in addresses(instance).list()] == [again.sid]
    assert addresses(instance)(PHONE).fetch().sid == again.sid


def test_configuration_of_another_account_is_not_found(instance: Instance) -> None:
    sid = addresses(instance).create(type="sms", address=PHONE).sid
    other = instance.accounts.create()
    theirs = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1.address_configurations
    for name in (sid, PHONE):
        for call in (theirs(name).fetch, theirs(name).delete, theirs(name).update):
            assert refusal(call).code == 20404
    assert theirs.list() == []
