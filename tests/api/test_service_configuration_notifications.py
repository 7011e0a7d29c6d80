"""Clients fetch and update a service's notification configuration.

See docs/behaviour/configuration.md#notification-configuration.
"""

from __future__ import annotations

from typing import Any

import pytest

from convoke.domain.errors import NotFoundError
from convoke.domain.service_configuration_notifications import ServiceConfigurationNotificationsChange
from convoke.storage.service_configuration_notifications import ServiceConfigurationNotificationsRepository
from tests.support.instances import ORIGIN, Instance, refusal

OFF = {"enabled": False, "template": "", "sound": ""}


@pytest.fixture
def service(instance: Instance) -> Any:
    services = instance.client().conversations.v1.services
    return services(services.create(friendly_name="Support").sid)


def test_new_service_notifies_nobody(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    assert instance.call("GET", f"/v1/Services/{sid}/Configuration/Notifications").body == {
        "account_sid": instance.account.sid,
        "chat_service_sid": sid,
        "log_enabled": False,
        "added_to_conversation": OFF,
        "new_message": OFF | {"badge_count_enabled": False, "with_media": {"enabled": False, "template": ""}},
        "removed_from_conversation": OFF,
        "url": f"{ORIGIN}/v1/Services/{sid}/Configuration/Notifications",
    }


@pytest.mark.each_engine
def test_update_changes_given_fields(instance: Instance, service: Any) -> None:
    notifications = service.configuration.notifications()
    updated = notifications.update(
        log_enabled=True,
        new_message_enabled=True,
        new_message_template="${PARTICIPANT}: ${MESSAGE}",
        new_message_sound="ring",
        new_message_badge_count_enabled=True,
        new_message_with_media_enabled=True,
        new_message_with_media_template="${MEDIA_COUNT} files",
        added_to_conversation_enabled=True,
        added_to_conversation_template="Welcome to ${CONVERSATION}",
        added_to_conversation_sound="chime",
        removed_from_conversation_enabled=True,
        removed_from_conversation_template="Goodbye",
        removed_from_conversation_sound="bell",
    )
    assert updated.log_enabled is True
    new_message = {
        "enabled": True,
        "template": "${PARTICIPANT}: ${MESSAGE}",
        "badge_count_enabled": True,
        "sound": "ring",
        "with_media": {"enabled": True, "template": "${MEDIA_COUNT} files"},
    }
    assert updated.new_message == new_message
    added = {"enabled": True, "template": "Welcome to ${CONVERSATION}", "sound": "chime"}
    assert updated.added_to_conversation == added
    assert updated.removed_from_conversation == {"enabled": True, "template": "Goodbye", "sound": "bell"}
    notifications.update(new_message_sound="", removed_from_conversation_enabled=False)
    notifications.update()
    fetched = notifications.fetch()
    assert fetched.new_message == new_message | {"sound": ""}
    assert fetched.removed_from_conversation == {"enabled": False, "template": "Goodbye", "sound": "bell"}
    assert (fetched.added_to_conversation, fetched.log_enabled) == (added, True)


def test_services_have_separate_configurations(instance: Instance, service: Any) -> None:
    service.configuration.notifications().update(log_enabled=True)
    default = instance.client().conversations.v1.services(instance.account.default_chat_service_sid)
    assert default.configuration.notifications().fetch().log_enabled is False


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"NewMessage.Template": "é" * 2049}, 50058, "must be at most 4,096 bytes of UTF-8"),
        ({"NewMessage.WithMedia.Template": "e" * 4097}, 50058, ""),
        ({"RemovedFromConversation.Sound": "e" * 257}, 50059, ""),
        ({"AddedToConversation.Enabled": "1"}, 20001, "AddedToConversation.Enabled must be true or false"),
        ({"LogEnabled": ""}, 20001, "LogEnabled must be true or false"),
    ],
)
def test_invalid_value_is_refused_and_not_stored(
    instance: Instance, service: Any, given: dict[str, str], code: int, message: str
) -> None:
    path = f"/v1/Services/{service.fetch().sid}/Configuration/Notifications"
    refused = instance.call("POST", path, {"NewMessage.Enabled": "true"} | given)
    assert (refused.status, refused.body["code"]) == (400, code)
    assert refused.body["details"]["parameter"] == next(iter(given))
    assert message in refused.body["message"]
    assert instance.items("configuration#notifications") == []


def test_longest_values_are_accepted(service: Any) -> None:
    updated = service.configuration.notifications().update(new_message_template="é" * 2048, new_message_sound="é" * 256)
    assert updated.new_message["template"] == "é" * 2048


@pytest.mark.each_engine
def test_configuration_of_a_deleted_service_cannot_be_changed(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    service.configuration.notifications().update(log_enabled=True)
    service.delete()
    before = instance.items("configuration#notifications")
    assert refusal(service.configuration.notifications().fetch).code == 20404
    assert refusal(lambda: service.configuration.notifications().update(log_enabled=True)).code == 20404
    late = ServiceConfigurationNotificationsRepository(instance.table)
    with pytest.raises(NotFoundError):
        late.update(instance.account.sid, sid, ServiceConfigurationNotificationsChange(log_enabled=False))
    assert instance.items("configuration#notifications") == before


def test_service_of_another_account_is_not_found(instance: Instance) -> None:
    foreign = instance.client().conversations.v1.services(instance.accounts.create().default_chat_service_sid)
    assert refusal(foreign.configuration.notifications().fetch).code == 20404
    assert refusal(lambda: foreign.configuration.notifications().update(log_enabled=True)).code == 20404
