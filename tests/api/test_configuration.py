"""`/v1/Configuration` holds the defaults for new conversations. See docs/behaviour/configuration.md."""

from __future__ import annotations

import pytest

from tests.support.examples import chat
from tests.support.instances import ORIGIN, Instance

PATH = "/v1/Configuration"


def test_account_starts_with_default_services_and_no_timers(instance: Instance) -> None:
    service_sid = instance.account.default_chat_service_sid
    assert instance.call("GET", PATH).body == {
        "account_sid": instance.account.sid,
        "default_chat_service_sid": service_sid,
        "default_messaging_service_sid": instance.account.default_messaging_service_sid,
        "default_inactive_timer": None,
        "default_closed_timer": None,
        "url": f"{ORIGIN}{PATH}",
        "links": {
            "service": f"{ORIGIN}/v1/Services/{service_sid}/Configuration",
            "webhooks": f"{ORIGIN}{PATH}/Webhooks",
        },
    }


@pytest.mark.each_engine
def test_update_changes_given_fields_and_applies_at_once(instance: Instance) -> None:
    configuration = instance.client().conversations.v1.configuration()
    before = configuration.fetch()
    first = configuration.update(default_inactive_timer="PT1M", default_closed_timer="P1DT2H")
    assert (first.default_inactive_timer, first.default_closed_timer) == ("PT1M", "P1DT2H")
    messaging_service_sid = "MG" + "0" * 32
    configuration.update(default_messaging_service_sid=messaging_service_sid, default_closed_timer="PT0S")
    fetched = configuration.fetch()
    assert (fetched.default_inactive_timer, fetched.default_closed_timer) == ("PT1M", None)
    assert fetched.default_messaging_service_sid == messaging_service_sid
    assert fetched.default_chat_service_sid == before.default_chat_service_sid
    conversation = instance.client().conversations.v1.conversations.create()
    assert conversation.messaging_service_sid == messaging_service_sid
    assert instance.call("POST", PATH).body == instance.call("GET", PATH).body


def test_account_list_of_operator_shows_current_defaults(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.services.create(friendly_name="Support").sid
    v1.configuration().update(default_chat_service_sid=sid, default_messaging_service_sid="MG" + "0" * 32)
    (listed,) = (each for each in instance.accounts.accounts.list() if each.sid == instance.account.sid)
    assert (listed.default_chat_service_sid, listed.default_messaging_service_sid) == (sid, "MG" + "0" * 32)


@pytest.mark.each_engine
def test_paths_without_service_use_default_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    before = v1.conversations.create()
    service_sid = v1.services.create(friendly_name="Support").sid
    assert (
        v1.configuration()
        .update(default_chat_service_sid=service_sid)
        .links["service"]
        .endswith(f"/Services/{service_sid}/Configuration")
    )
    after = v1.conversations.create()
    assert after.chat_service_sid == service_sid
    assert [each.sid for each in v1.conversations.list()] == [after.sid]
    old = v1.services(before.chat_service_sid).conversations
    assert [each.sid for each in old.list()] == [before.sid]


@pytest.mark.each_engine
def test_new_conversation_takes_default_timers_unless_request_sets_them(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration().update(default_inactive_timer="PT1H", default_closed_timer="P1D")
    create = v1.conversations.create
    assert set(create().timers) == {"date_inactive", "date_closed"}
    assert set(create(timers_inactive="PT0S").timers) == {"date_closed"}
    longer = create(timers_inactive="P9D")
    assert longer.timers["date_inactive"] > longer.timers["date_closed"]
    sid = v1.conversation_with_participants.create(participant=chat(2)).sid
    instance.work()
    assert set(v1.conversations(sid).fetch().timers) == {"date_inactive", "date_closed"}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"DefaultChatServiceSid": "IS"}, 20423),
        ({"DefaultChatServiceSid": ""}, 20423),
        ({"DefaultChatServiceSid": "IS" + "0" * 32}, 20001),
        ({"DefaultMessagingServiceSid": "MG"}, 50341),
        ({"DefaultInactiveTimer": "PT59S"}, 50375),
        ({"DefaultClosedTimer": "PT9M"}, 50376),
        ({"DefaultInactiveTimer": "soon"}, 50379),
        ({"DefaultClosedTimer": "P1M"}, 50380),
    ],
)
def test_invalid_configuration_is_refused_and_stores_nothing(
    instance: Instance, parameters: dict[str, str], code: int
) -> None:
    before = instance.items("")
    (name,) = parameters
    refused = instance.call("POST", PATH, parameters)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, name)
    assert instance.items("") == before


def test_service_of_another_account_is_refused_as_default(instance: Instance) -> None:
    foreign = instance.accounts.create().default_chat_service_sid
    refused = instance.call("POST", PATH, {"DefaultChatServiceSid": foreign})
    assert (refused.status, refused.body["code"]) == (400, 20001)
