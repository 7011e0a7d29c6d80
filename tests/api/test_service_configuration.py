"""A service has its own configuration and webhooks. See docs/behaviour/configuration.md#service-configuration."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.examples import chat
from tests.support.instances import ORIGIN, Instance, refusal


@pytest.fixture
def service(instance: Instance) -> Any:
    services = instance.client().conversations.v1.services
    return services(services.create(friendly_name="Support").sid)


def stored(instance: Instance, sid: str) -> dict[str, Any]:
    (found,) = (item for item in instance.items("service#") if item["sid"] == sid)
    return found


def test_service_starts_with_its_own_roles(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    roles = stored(instance, sid)
    url = f"{ORIGIN}/v1/Services/{sid}/Configuration"
    assert instance.call("GET", f"/v1/Services/{sid}/Configuration").body == {
        "chat_service_sid": sid,
        "default_conversation_creator_role_sid": roles["conversation_admin_role_sid"],
        "default_conversation_role_sid": roles["conversation_user_role_sid"],
        "default_chat_service_role_sid": roles["service_user_role_sid"],
        "url": url,
        "links": {"notifications": f"{url}/Notifications", "webhooks": f"{url}/Webhooks"},
        "reachability_enabled": False,
    }


@pytest.mark.each_engine
def test_update_changes_given_fields_and_new_participants_get_the_role(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    roles = stored(instance, sid)
    admin, user = roles["conversation_admin_role_sid"], roles["conversation_user_role_sid"]
    first = service.configuration().update(default_conversation_role_sid=admin, reachability_enabled=True)
    assert (first.default_conversation_role_sid, first.reachability_enabled) == (admin, True)
    service.configuration().update(
        default_conversation_creator_role_sid=user, default_chat_service_role_sid=roles["service_admin_role_sid"]
    )
    fetched = service.configuration().fetch()
    assert (fetched.default_conversation_role_sid, fetched.default_conversation_creator_role_sid) == (admin, user)
    assert fetched.default_chat_service_role_sid == roles["service_admin_role_sid"]
    assert fetched.reachability_enabled is True
    conversation = service.conversation_with_participants.create(participant=chat(1))
    instance.work()
    (member,) = service.conversations(conversation.sid).participants.list()
    assert member.role_sid == admin


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("DefaultConversationRoleSid", "", 50103),
        ("DefaultConversationRoleSid", "RL" + "0" * 32, 50101),
        ("DefaultConversationCreatorRoleSid", "nothing", 50101),
        ("DefaultChatServiceRoleSid", "RL" + "0" * 32, 50102),
        ("ReachabilityEnabled", "yes", 20001),
    ],
)
def test_invalid_service_configuration_is_refused(
    instance: Instance, service: Any, parameter: str, value: str, code: int
) -> None:
    before = instance.items("")
    path = f"/v1/Services/{service.fetch().sid}/Configuration"
    refused = instance.call("POST", path, {parameter: value})
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)
    assert instance.items("") == before


def test_role_of_wrong_scope_is_refused(instance: Instance, service: Any) -> None:
    roles = stored(instance, service.fetch().sid)
    update = service.configuration().update
    assert refusal(partial(update, default_conversation_role_sid=roles["service_user_role_sid"])).code == 50101
    assert refusal(partial(update, default_chat_service_role_sid=roles["conversation_user_role_sid"])).code == 50102


def test_service_starts_without_webhooks(instance: Instance, service: Any) -> None:
    sid = service.fetch().sid
    assert instance.call("GET", f"/v1/Services/{sid}/Configuration/Webhooks").body == {
        "account_sid": instance.account.sid,
        "chat_service_sid": sid,
        "pre_webhook_url": None,
        "post_webhook_url": None,
        "filters": None,
        "method": None,
        "url": f"{ORIGIN}/v1/Services/{sid}/Configuration/Webhooks",
    }


@pytest.mark.each_engine
def test_service_webhooks_are_separate_from_account_and_other_services(instance: Instance, service: Any) -> None:
    webhooks = service.configuration.webhooks()
    webhooks.update(method="post", filters=["onMessageAdded", "onUserAdded"], post_webhook_url="https://a.example/")
    webhooks.update(pre_webhook_url="https://b.example/", method="GET")
    fetched = webhooks.fetch()
    assert (fetched.method, fetched.filters) == ("GET", ["onMessageAdded", "onUserAdded"])
    assert (fetched.pre_webhook_url, fetched.post_webhook_url) == ("https://b.example/", "https://a.example/")
    path = f"/v1/Services/{fetched.chat_service_sid}/Configuration/Webhooks"
    assert instance.call("POST", path, {"PreWebhookUrl": ""}).body["pre_webhook_url"] is None
    assert instance.call("POST", path).body == instance.call("GET", path).body
    v1 = instance.client().conversations.v1
    assert v1.configuration.webhooks().fetch().post_webhook_url is None
    other = v1.services(instance.account.default_chat_service_sid)
    assert other.configuration.webhooks().fetch().filters is None


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ({"Method": "PUT"}, 50055, "Method"),
        ({"Filters": "onNothing"}, 50054, "Filters[0]"),
        ({"PostWebhookUrl": "hooks.example.com"}, 50054, "PostWebhookUrl"),
    ],
)
def test_invalid_service_webhooks_are_refused(
    instance: Instance, service: Any, parameters: dict[str, str], code: int, parameter: str
) -> None:
    refused = instance.call("POST", f"/v1/Services/{service.fetch().sid}/Configuration/Webhooks", parameters)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)


def test_configuration_of_another_accounts_service_is_not_found(instance: Instance) -> None:
    foreign = instance.accounts.create().default_chat_service_sid
    for path in ("", "/Webhooks"):
        for method in ("GET", "POST"):
            assert instance.call(method, f"/v1/Services/{foreign}/Configuration{path}").status == 404
