"""Clients create, fetch, list and delete services. See docs/behaviour/services.md."""

from __future__ import annotations

from datetime import timedelta

import pytest

from convoke.domain.errors import NotFoundError
from convoke.domain.services import DeletedService
from convoke.domain.webhooks import Method, WebhookSettingsChange
from convoke.storage.conversations import ERASE_BATCH_SIZE
from convoke.storage.deleted_services import DeletedServiceRepository
from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository
from convoke.storage.services import ServiceRepository
from tests.support.deletions import AT_ONCE, LONG_AFTER
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, refusal
from tests.support.manual_clock import ManualClock

URL = "https://hooks.example.com/"

MESSAGING = "MG" + "0" * 32


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


def belongings(instance: Instance, sid: str) -> set[str]:
    """Return the kinds of the items that mention the service SID, except changes."""
    found = {str(item["sk"]).partition("#")[0] for item in instance.items("") if sid in str(item)}
    return found - {"change"}


def filled_service(instance: Instance) -> str:
    """Create a service with conversations, a User, a role and configurations. Return the service SID.

    The conversations have the states `active`, `closed` and `initializing`.
    """
    v1 = instance.client().conversations.v1
    sid = str(v1.services.create(friendly_name="Support").sid)
    service = v1.services(sid)
    service.configuration.webhooks().update(method="GET", post_webhook_url=URL, filters=["onConversationRemoved"])
    service.roles.create(friendly_name="guest", type="conversation", permission=["sendMessage"])
    service.users.create(identity="zoe")
    service.configuration.notifications().update(log_enabled=True)
    for participants in (CHAT_AND_SMS, GROUP_MMS, chat(1)):
        service.conversation_with_participants.create(participant=participants, messaging_service_sid=MESSAGING)
    instance.work()
    closed = service.conversations.create(unique_name="visit").sid
    service.conversations(closed).update(state="closed")
    service.conversation_with_participants.create(unique_name="new", participant=chat(2))
    return sid


@pytest.mark.each_engine
def test_deleted_service_is_not_found_at_once(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = filled_service(instance)
    assert v1.services(sid).delete()
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/Conversations"),
        ("POST", "/Conversations"),
        ("GET", "/Conversations/visit"),
        ("POST", "/ConversationWithParticipants"),
        ("GET", "/Users"),
        ("GET", "/Roles"),
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


def pass_time(instance: Instance, clock: ManualClock, by: timedelta) -> None:
    clock.move(by)
    instance.sweep(timedelta())
    instance.work()


@pytest.mark.each_engine
def test_deleted_service_goes_with_everything_in_it(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    before = clocked.items("")
    sid = filled_service(clocked)
    assert v1.services(sid).delete()
    pass_time(clocked, clock, AT_ONCE)
    assert {"role", "user", "configuration", "deleted-service"} <= belongings(clocked, sid)
    for _ in range(3):
        pass_time(clocked, clock, LONG_AFTER)
    assert belongings(clocked, sid) == set()
    kept = {"attempt", "change", "idempotency-record", "left", "webhooks"}
    assert [item for item in clocked.items("") if item["sk"].partition("#")[0] not in kept] == before
    assert clocked.receivers.posted == [], "webhooks hear nothing of the conversations of a deleted service"
    v1.conversation_with_participants.create(participant=GROUP_MMS)
    v1.conversation_with_participants.create(participant=CHAT_AND_SMS)


@pytest.mark.each_engine
def test_tombstone_of_a_service_stays_for_60_seconds(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    v1.services(sid).delete()
    pass_time(clocked, clock, timedelta(seconds=59))
    assert belongings(clocked, sid) == {"deleted-service"}
    pass_time(clocked, clock, LONG_AFTER)
    assert belongings(clocked, sid) == set()


def test_conversation_that_a_running_request_creates_in_a_deleted_service_is_deleted_too(
    clocked: Instance, clock: ManualClock
) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    assert isinstance(clocked, EmbeddedInstance)
    services = clocked.engine.program.known_services
    service = services.fetch(clocked.account.sid, sid)
    assert service
    assert v1.services(sid).delete()
    for _ in range(3):
        # Simulate a process that read the service before the deletion, and that still accepts requests for the service.
        services.fetch.remember(service, clocked.account.sid, sid)
        made = clocked.call("POST", f"/v1/Services/{sid}/ConversationWithParticipants", {"Participant": chat(2)})
        assert made.status == 202
        services.fetch.forget(clocked.account.sid, sid)
        pass_time(clocked, clock, LONG_AFTER)
        assert {"deleted-service"} <= belongings(clocked, sid), "the pass found a conversation"
    for _ in range(2):
        pass_time(clocked, clock, LONG_AFTER)
    assert belongings(clocked, sid) == set()


def test_removal_of_a_service_continues_after_an_interruption(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    for number in range(2 * ERASE_BATCH_SIZE):
        v1.services(sid).users.create(identity=str(number))
    v1.services(sid).delete()
    deleted_services, calls = DeletedServiceRepository(clocked.table), iter([True, False])
    deleted = deleted_services.fetch(clocked.account.sid, sid)
    assert deleted
    deleted_services.erase(deleted, lambda: next(calls))
    assert len(clocked.items("user")) == ERASE_BATCH_SIZE
    assert belongings(clocked, sid) == {"deleted-service", "user"}
    pass_time(clocked, clock, LONG_AFTER)
    assert belongings(clocked, sid) == set()


def test_two_sweepers_do_not_claim_the_same_service(embedded: EmbeddedInstance) -> None:
    v1 = embedded.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    v1.services(sid).delete()
    deleted_services = DeletedServiceRepository(embedded.table)
    deleted = deleted_services.fetch(embedded.account.sid, sid)
    assert deleted
    assert deleted_services.claim(deleted, deleted.due_at + timedelta(minutes=1))
    assert not deleted_services.claim(deleted, deleted.due_at + timedelta(minutes=2))


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


def test_service_of_another_account_cannot_be_deleted(instance: Instance) -> None:
    foreign = instance.accounts.create().default_chat_service_sid
    assert refusal(instance.client().conversations.v1.services(foreign).delete).code == 20404


@pytest.mark.each_engine
def test_service_that_became_default_meanwhile_is_not_deleted(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    account_sid, old = instance.account.sid, instance.account.default_chat_service_sid
    sid = v1.services.create(friendly_name="Support").sid
    v1.configuration().update(default_chat_service_sid=sid)
    services, before = ServiceRepository(instance.table), instance.items("")
    service = services.fetch(account_sid, sid)
    assert service
    deleted = DeletedService(service=service, date_removed=service.date_created, due_at=service.date_created)
    assert not services.delete(deleted, old)
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
