"""Clients fetch, list and delete bindings. See docs/behaviour/bindings.md."""

from __future__ import annotations

from typing import Any

import pytest

from convoke.domain.bindings import BindingType
from tests.support.bindings import store_binding
from tests.support.instances import ORIGIN, Instance, refusal


@pytest.fixture
def service(instance: Instance) -> Any:
    services = instance.client().conversations.v1.services
    return services(services.create(friendly_name="Support").sid)


@pytest.mark.each_engine
def test_service_without_devices_has_no_bindings(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    store_binding(instance, instance.account.default_chat_service_sid)
    assert service.bindings.list() == []
    assert service.bindings.list(binding_type=["fcm"], identity=["alice"]) == []
    meta = instance.call("GET", f"/v1/Services/{sid}/Bindings").body["meta"]
    assert (meta["key"], meta["next_page_url"], meta["previous_page_url"]) == ("bindings", None, None)


@pytest.mark.each_engine
def test_binding_is_fetched(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    stored = store_binding(instance, sid)
    fetched = instance.call("GET", f"/v1/Services/{sid}/Bindings/{stored.sid}").body
    assert fetched == {
        "sid": stored.sid,
        "account_sid": instance.account.sid,
        "chat_service_sid": sid,
        "date_created": fetched["date_created"],
        "date_updated": fetched["date_created"],
        "endpoint": "alice's device",
        "identity": "alice",
        "binding_type": "fcm",
        "credential_sid": stored.credential_sid,
        "message_types": ["new_message", "added_to_conversation"],
        "url": f"{ORIGIN}/v1/Services/{sid}/Bindings/{stored.sid}",
    }
    assert service.bindings(stored.sid).fetch().identity == "alice"


@pytest.mark.each_engine
def test_bindings_are_listed_oldest_first_and_filtered(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    alice, bob, carol = (store_binding(instance, sid, identity).sid for identity in ("alice", "bob", "carol"))
    browser = store_binding(instance, sid, "alice", BindingType.TWILSOCK).sid

    def listed(**filters: Any) -> list[str]:
        return [each.sid for each in service.bindings.list(page_size=1, **filters)]

    assert listed() == [alice, bob, carol, browser]
    assert listed(identity=["alice"]) == [alice, browser]
    assert listed(identity=["alice", "carol"]) == [alice, carol, browser]
    assert listed(binding_type=["FCM"]) == [alice, bob, carol]
    assert listed(binding_type=["apn", "twilsock"]) == [browser]
    assert listed(binding_type=["fcm", "twilsock"], identity=["alice"]) == [alice, browser]
    assert listed(identity=["Alice"]) == []


def test_repeated_filters_are_kept_in_the_urls_of_pages(instance: Instance, service: Any) -> None:
    path = f"/v1/Services/{service.fetch().sid}/Bindings"
    for _ in range(2):
        store_binding(instance, service.fetch().sid)
    page = instance.call("GET", f"{path}?Identity=bob&Identity=alice&PageSize=1").body["meta"]
    assert page["first_page_url"] == f"{ORIGIN}{path}?Identity=bob&Identity=alice&PageSize=1&Page=0"
    next_page = page["next_page_url"].removeprefix(ORIGIN)
    assert instance.call("GET", next_page).status == 200
    other = instance.call("GET", next_page.replace("bob", "carol"))
    assert (other.status, other.body["details"]["parameter"]) == (400, "PageToken")


def test_unknown_binding_type_is_refused(instance: Instance, service: Any) -> None:
    refused = instance.call("GET", f"/v1/Services/{service.fetch().sid}/Bindings?BindingType=fcm&BindingType=web")
    assert (refused.status, refused.body["code"]) == (400, 50209)
    assert refused.body["details"]["parameter"] == "BindingType[1]"


@pytest.mark.each_engine
def test_deleted_binding_is_gone(instance: Instance, service: Any) -> None:
    kept, deleted = (store_binding(instance, service.fetch().sid).sid for _ in range(2))
    assert service.bindings(deleted).delete()
    for call in (service.bindings(deleted).fetch, service.bindings(deleted).delete):
        assert (refusal(call).status, refusal(call).code) == (404, 20404)
    assert [each.sid for each in service.bindings.list()] == [kept]


def test_binding_of_another_service_is_not_found(instance: Instance, service: Any) -> None:
    sid = store_binding(instance, instance.account.default_chat_service_sid).sid
    for call in (service.bindings(sid).fetch, service.bindings(sid).delete):
        assert refusal(call).code == 20404
    foreign = instance.client().conversations.v1.services(instance.accounts.create().default_chat_service_sid)
    for call in (foreign.bindings(sid).fetch, foreign.bindings(sid).delete):
        assert refusal(call).code == 20404
    assert instance.call("GET", f"/v1/Services/{foreign._solution['sid']}/Bindings").body["code"] == 20404
