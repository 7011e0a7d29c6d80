"""Services. See docs/behaviour/services.md."""

from __future__ import annotations

from datetime import timedelta

import pytest

from convoke.domain.errors import NotFoundError
from convoke.domain.webhooks import Method, WebhookSettingsChange
from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository
from convoke.storage.services import ServiceRepository
from tests.support.instances import ORIGIN, Instance, refusal


def test_service_is_created_and_fetched(instance: Instance) -> None:
    services = instance.client().conversations.v1.services
    created = services.create(friendly_name="Support")
    assert (created.friendly_name, created.account_sid) == ("Support", instance.account.sid)
    assert created.url == f"{ORIGIN}/v1/Services/{created.sid}"
    assert created.links == {
        "conversations": f"{created.url}/Conversations",
        "users": f"{created.url}/Users",
        "roles": f"{created.url}/Roles",
        "bindings": f"{created.url}/Bindings",
        "configuration": f"{created.url}/Configuration",
        "participant_conversations": f"{created.url}/ParticipantConversations",
        "conversation_with_participants": f"{created.url}/ConversationWithParticipants",
    }
    assert instance.client().conversations.v1.services(created.sid).fetch().friendly_name == "Support"


@pytest.mark.each_engine
def test_services_are_listed_oldest_first_with_default_service(instance: Instance) -> None:
    services = instance.client().conversations.v1.services
    names = ["a", "b", "c"]
    for name in names:
        services.create(friendly_name=name)
    listed = services.list(page_size=1)
    assert listed[0].sid == instance.account.default_chat_service_sid
    assert [service.friendly_name for service in listed[1:]] == names


def test_friendly_name_is_required_and_limited_to_256_characters(instance: Instance) -> None:
    missing = instance.call("POST", "/v1/Services")
    assert (missing.status, missing.body["code"]) == (400, 50000)
    create = instance.client().conversations.v1.services.create
    assert create(friendly_name="é" * 256).friendly_name == "é" * 256
    error = refusal(lambda: create(friendly_name="e" * 257))
    assert (error.code, error.details["parameter"]) == (50003, "FriendlyName")


@pytest.mark.each_engine
def test_service_list_stops_at_limit_over_pages(instance: Instance) -> None:
    services = instance.client().conversations.v1.services
    made = [services.create(friendly_name=str(number)).sid for number in range(6)]
    listed = [service.sid for service in services.list(limit=5, page_size=2)]
    assert listed == [instance.account.default_chat_service_sid, *made[:4]]


@pytest.mark.each_engine
def test_deleted_service_leaves_nothing_and_is_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    before = instance.items("")
    sid = v1.services.create(friendly_name="Support").sid
    v1.services(sid).configuration.webhooks().update(method="GET")
    assert v1.services(sid).delete()
    assert instance.items("") == before
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/Conversations"),
        ("POST", "/Conversations"),
        ("POST", "/ConversationWithParticipants"),
        ("GET", "/Configuration"),
        ("POST", "/Configuration"),
        ("GET", "/Configuration/Webhooks"),
        ("POST", "/Configuration/Webhooks"),
    ):
        refused = instance.call(method, f"/v1/Services/{sid}{path}", {"Method": "GET", "ReachabilityEnabled": "true"})
        assert (refused.status, refused.body["code"]) == (404, 20404)
    default = instance.call("POST", "/v1/Configuration", {"DefaultChatServiceSid": sid})
    assert (default.status, default.body["code"]) == (400, 20001)
    assert sid not in {service.sid for service in v1.services.list()}


@pytest.mark.each_engine
def test_default_service_cannot_be_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    default = instance.account.default_chat_service_sid
    error = refusal(v1.services(default).delete)
    assert (error.status, error.code, error.details) == (409, 20409, {"reason": "default_service"})
    other = v1.services.create(friendly_name="Support").sid
    v1.configuration().update(default_chat_service_sid=other)
    assert v1.services(default).delete()
    assert refusal(v1.services(other).delete).code == 20409
    assert v1.conversations.create().chat_service_sid == other


@pytest.mark.each_engine
def test_service_with_conversations_cannot_be_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    closed = service.conversations.create(unique_name="visit").sid
    service.conversations(closed).update(state="closed")
    error = refusal(service.delete)
    assert (error.status, error.code, error.details) == (409, 20409, {"reason": "has_conversations"})
    service.conversations("visit").delete()
    assert service.delete()
    instance.sweep(timedelta(minutes=1))
    assert instance.items("conversation") == instance.items("lock") == []


def test_service_of_another_account_cannot_be_deleted(instance: Instance) -> None:
    foreign = instance.accounts.create().default_chat_service_sid
    assert refusal(instance.client().conversations.v1.services(foreign).delete).code == 20404


@pytest.mark.each_engine
def test_service_that_became_default_meanwhile_is_not_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    account_sid, old = instance.account.sid, instance.account.default_chat_service_sid
    sid = v1.services.create(friendly_name="Support").sid
    v1.configuration().update(default_chat_service_sid=sid)
    before = instance.items("")
    assert not ServiceRepository(instance.table).delete(account_sid, sid, old)
    assert instance.items("") == before


@pytest.mark.each_engine
def test_webhook_update_after_service_deletion_stores_nothing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    v1.services(sid).delete()
    before = instance.items("")
    webhooks = ServiceConfigurationWebhooksRepository(instance.table)
    with pytest.raises(NotFoundError):
        webhooks.update(instance.account.sid, sid, WebhookSettingsChange(method=Method.GET))
    assert instance.items("") == before
