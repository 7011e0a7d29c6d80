"""Services (reference, a.14)."""

from __future__ import annotations

from tests.support.instances import ORIGIN, Instance, refusal


def test_a_service_is_created_and_read_back(instance: Instance) -> None:
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


def test_services_are_listed_oldest_first_with_the_default_one(instance: Instance) -> None:
    services = instance.client().conversations.v1.services
    names = ["a", "b", "c"]
    for name in names:
        services.create(friendly_name=name)
    listed = services.list(page_size=1)
    assert listed[0].sid == instance.account.default_chat_service_sid
    assert [service.friendly_name for service in listed[1:]] == names


def test_a_service_needs_a_name_of_at_most_256_characters(instance: Instance) -> None:
    missing = instance.call("POST", "/v1/Services")
    assert (missing.status, missing.body["code"]) == (400, 50000)
    create = instance.client().conversations.v1.services.create
    assert create(friendly_name="é" * 256).friendly_name == "é" * 256
    error = refusal(lambda: create(friendly_name="e" * 257))
    assert (error.code, error.details["parameter"]) == (50003, "FriendlyName")
