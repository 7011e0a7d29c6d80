"""A conversation can have its own webhooks. See docs/behaviour/scoped-webhooks.md."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from convoke.domain.retention import WEBHOOKS_RETENTION
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.scoped_webhooks import ScopedWebhookRepository
from tests.support.deletions import AT_ONCE, conversation_in, item_kinds_left
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, refusal
from tests.support.manual_clock import ManualClock

URL = "https://hooks.example.com/scoped?tenant=7"

FLOW = "FW" + "0" * 32

WEBHOOK = {"Target": "webhook", "Configuration.Url": URL, "Configuration.Filters": ["onMessageAdded"]}
TRIGGER = {"Target": "trigger", "Configuration.Url": URL, "Configuration.Triggers": ["help", "stop"]}
STUDIO = {"Target": "studio", "Configuration.FlowSid": FLOW}

PATH = "/v1/Conversations/visit/Webhooks"


def new_conversation(instance: Instance) -> Any:
    """Create a conversation with the unique name `visit`. Return the SDK's conversation context."""
    v1 = instance.client().conversations.v1
    return v1.conversations(v1.conversations.create(unique_name="visit").sid)


def create_webhook(conversation: Any, **parameters: Any) -> Any:
    """Create a webhook. Return the SDK's webhook context."""
    given = {"target": "webhook", "configuration_url": URL, "configuration_filters": ["onMessageAdded"], **parameters}
    return conversation.webhooks(conversation.webhooks.create(**given).sid)


@pytest.mark.parametrize(
    ("parameters", "configuration"),
    [
        (WEBHOOK | {"Configuration.Method": "get"}, {"url": URL, "method": "get", "filters": ["onMessageAdded"]}),
        (TRIGGER | {"Configuration.Method": "POST"}, {"url": URL, "method": "POST", "triggers": ["help", "stop"]}),
        (STUDIO, {"flow_sid": FLOW}),
    ],
    ids=["webhook", "trigger", "studio"],
)
def test_response_has_expected_fields(
    instance: Instance, parameters: dict[str, object], configuration: dict[str, object]
) -> None:
    conversation = new_conversation(instance).fetch().sid
    created = instance.call("POST", PATH, parameters)
    (stored,) = instance.items("webhooks")
    sid, date = stored["webhooks"][0]["sid"], f"{stored['webhooks'][0]['date_created'][:19]}Z"
    expected = {
        "sid": sid,
        "account_sid": instance.account.sid,
        "conversation_sid": conversation,
        "target": parameters["Target"],
        "url": f"{ORIGIN}/v1/Conversations/{conversation}/Webhooks/{sid}",
        "configuration": configuration,
        "date_created": date,
        "date_updated": date,
    }
    assert (created.status, created.body) == (201, expected)
    assert list(created.body) == list(expected)
    assert sid[:2] == "WH"
    assert instance.call("GET", f"{PATH}/{sid}").body == expected
    assert instance.call("GET", f"{PATH}/WH{sid[2:].upper()}").body == expected
    listed = instance.call("GET", PATH).body
    assert listed["webhooks"] == [expected]
    assert (listed["meta"]["key"], listed["meta"]["page_size"]) == ("webhooks", 5)


def test_parameters_of_other_targets_are_ignored(instance: Instance) -> None:
    new_conversation(instance)
    created = instance.call("POST", PATH, {**WEBHOOK, **TRIGGER, **STUDIO, "Target": "Studio"}).body
    assert (created["target"], created["configuration"]) == ("studio", {"flow_sid": FLOW})
    created = instance.call("POST", PATH, {**STUDIO, **WEBHOOK, "Configuration.Method": "Get"}).body
    assert created["configuration"] == {"url": URL, "method": "Get", "filters": ["onMessageAdded"]}


def test_method_defaults_to_post_and_filters_are_unique(instance: Instance) -> None:
    new_conversation(instance)
    filters = ["onMessageAdded", "onConversationStateUpdated", "onMessageAdded"]
    created = instance.call("POST", PATH, {**WEBHOOK, "Configuration.Filters": filters}).body
    assert created["configuration"] == {"url": URL, "method": "POST", "filters": filters[:2]}


def test_replay_after_is_stored_and_not_shown(instance: Instance) -> None:
    new_conversation(instance)
    created = instance.call("POST", PATH, WEBHOOK | {"Configuration.ReplayAfter": "7"}).body
    assert "replay_after" not in created["configuration"]
    instance.call("POST", f"{PATH}/{created['sid']}", {"Configuration.ReplayAfter": "9", "Configuration.Url": URL})
    (stored,) = instance.items("webhooks")
    assert stored["webhooks"][0]["replay_after"] == 7


@pytest.mark.parametrize(
    ("target", "field", "before", "after"),
    [
        ("webhook", "url", URL, "http://hooks.example.com/other"),
        ("webhook", "method", "GET", "post"),
        ("webhook", "filters", ["onMessageAdded"], ["onParticipantAdded", "onDeliveryUpdated"]),
        ("trigger", "url", URL, "http://hooks.example.com/other"),
        ("trigger", "method", "get", "POST"),
        ("trigger", "triggers", ["help", "stop"], ["x" * 248]),
        ("studio", "flow_sid", FLOW, "FW" + "f" * 32),
    ],
)
def test_update_changes_one_field_and_date_updated(
    clocked: Instance, clock: ManualClock, target: str, field: str, before: object, after: object
) -> None:
    conversation = new_conversation(clocked)
    configured = {"filters": ["onMessageAdded"], "triggers": ["help", "stop"], "flow_sid": FLOW, "method": "POST"}
    given = {f"configuration_{name}": value for name, value in {**configured, field: before}.items()}
    other = create_webhook(conversation).fetch()
    webhook = create_webhook(conversation, target=target, **given)
    was = webhook.fetch()
    clock.move(timedelta(minutes=1))
    updated = webhook.update(**{f"configuration_{field}": after})
    assert was.configuration[field] == before
    assert updated.configuration == webhook.fetch().configuration == {**was.configuration, field: after}
    assert (updated.target, updated.date_created) == (target, was.date_created)
    assert updated.date_updated == was.date_updated + timedelta(minutes=1)
    assert [each.sid for each in conversation.webhooks.list()] == [other.sid, updated.sid]
    assert conversation.webhooks(other.sid).fetch().date_updated == other.date_updated


@pytest.mark.each_engine
def test_update_without_applicable_parameters_writes_nothing(clocked: Instance, clock: ManualClock) -> None:
    webhook = create_webhook(new_conversation(clocked))
    before = clocked.items("")
    clock.move(timedelta(minutes=1))
    for parameters in ({}, {"Configuration.Triggers": ["help"], "Configuration.FlowSid": FLOW}, {"Target": "studio"}):
        updated = clocked.call("POST", f"{PATH}/{webhook.fetch().sid}", parameters)
        assert (updated.status, updated.body["target"]) == (200, "webhook")
    assert clocked.items("") == before


def test_webhook_list_pages_lead_forward_and_back(instance: Instance) -> None:
    conversation = new_conversation(instance)
    assert conversation.webhooks.list() == []
    made = [create_webhook(conversation).fetch().sid for _ in range(5)]
    for bounds in ({}, {"page_size": 2}, {"limit": 5, "page_size": 2}, {"limit": 500}):
        assert [webhook.sid for webhook in conversation.webhooks.list(**bounds)] == made
    for bounds in ({"limit": 3}, {"limit": 3, "page_size": 1}):
        assert [webhook.sid for webhook in conversation.webhooks.list(**bounds)] == made[:3]
    pages = [conversation.webhooks.page(page_size=2)]
    while following := pages[-1].next_page():
        pages.append(following)
    assert [[webhook.sid for webhook in page] for page in pages[1:]] == [made[2:4], made[4:]]
    back = conversation.webhooks.page(page_size=2).next_page().next_page().previous_page()
    assert [webhook.sid for webhook in back] == made[2:4]
    assert [webhook.sid for webhook in back.previous_page()] == made[:2]
    assert instance.call("GET", f"{PATH}?PageSize=500").body["meta"]["page_size"] == 5


def test_next_page_continues_after_deletion_of_last_listed_webhook(instance: Instance) -> None:
    conversation = new_conversation(instance)
    made = [create_webhook(conversation).fetch().sid for _ in range(3)]
    first = conversation.webhooks.page(page_size=1)
    conversation.webhooks(made[0]).delete()
    assert [webhook.sid for webhook in first.next_page()] == made[1:2]


@pytest.mark.each_engine
def test_deleted_webhook_is_not_found_and_others_stay(instance: Instance) -> None:
    conversation = new_conversation(instance)
    gone, kept = create_webhook(conversation), create_webhook(conversation)
    assert gone.delete() is True
    for request in (gone.fetch, gone.update, gone.delete):
        assert refusal(request).code == 20404
    assert [webhook.sid for webhook in conversation.webhooks.list()] == [kept.fetch().sid]
    kept.delete()
    assert instance.items("webhooks") == []


def test_webhook_of_another_conversation_service_or_account_is_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    mine, other = new_conversation(instance), v1.conversations(v1.conversations.create().sid)
    sid = create_webhook(mine).fetch().sid
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    stranger = instance.accounts.create()
    theirs = instance.client(stranger.sid, instance.accounts.token(stranger.sid)).conversations.v1
    there, with_them = (each.conversations(mine.fetch().sid) for each in (service, theirs))
    for webhook in (other.webhooks(sid), mine.webhooks("WH" + "0" * 32), there.webhooks(sid), with_them.webhooks(sid)):
        for request in (webhook.fetch, webhook.update, webhook.delete):
            assert refusal(request).code == 20404
    assert refusal(lambda: create_webhook(there)).code == refusal(lambda: create_webhook(with_them)).code == 20404
    path = f"/v1/Services/{service.fetch().sid}/Conversations/{mine.fetch().sid}/Webhooks"
    assert instance.call("GET", path).body["code"] == 20404


@pytest.mark.parametrize("malformed", ["WH0", "CH" + "0" * 32])
def test_malformed_webhook_sid_is_refused(instance: Instance, malformed: str) -> None:
    webhook = new_conversation(instance).webhooks(malformed)
    for request in (webhook.fetch, webhook.update, webhook.delete):
        assert (refusal(request).status, refusal(request).code) == (400, 50363)


def test_webhook_is_scoped_to_its_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service_sid = v1.services.create(friendly_name="Support").sid
    service = v1.services(service_sid)
    conversation = service.conversations(service.conversations.create().sid)
    webhook = create_webhook(conversation)
    assert webhook.fetch().chat_service_sid == service_sid
    assert webhook.update(configuration_method="get").configuration["method"] == "get"
    assert webhook.fetch().url == f"{conversation.fetch().links['webhooks']}/{webhook.fetch().sid}"
    made = [webhook.fetch().sid, *(create_webhook(conversation).fetch().sid for _ in range(4))]
    assert [each.sid for each in conversation.webhooks.list(limit=5, page_size=2)] == made
    assert webhook.delete()
    assert refusal(webhook.fetch).code == 20404


# Refusals


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ({"Target": ""}, 50368, "Target"),
        ({"Target": "pigeon"}, 50364, "Target"),
        ({"Target": "flex"}, 50364, "Target"),
        ({"Configuration.Url": ""}, 50369, "Configuration.Url"),
        ({"Configuration.Url": URL.ljust(513, "x")}, 50372, "Configuration.Url"),
        ({"Configuration.Url": "hooks.example.com"}, 50054, "Configuration.Url"),
        ({"Configuration.Url": "ftp://hooks.example.com/"}, 50054, "Configuration.Url"),
        ({"Configuration.Method": "PUT"}, 50055, "Configuration.Method"),
        ({"Configuration.Filters": ["onMessageAdded", "onMessageAdd"]}, 50365, "Configuration.Filters[1]"),
        ({"Configuration.Filters": ["onMessageSent"]}, 50365, "Configuration.Filters[0]"),
        ({"Configuration.Filters": ""}, 50365, "Configuration.Filters[0]"),
        ({"Configuration.Triggers": list("abcdef")}, 50362, "Configuration.Triggers"),
        ({"Configuration.Triggers": ["a", ""]}, 50366, "Configuration.Triggers[1]"),
        ({"Configuration.Triggers": "x" * 249}, 50366, "Configuration.Triggers[0]"),
        ({"Configuration.FlowSid": "FW0"}, 50367, "Configuration.FlowSid"),
        ({"Configuration.FlowSid": ""}, 50367, "Configuration.FlowSid"),
        ({"Configuration.ReplayAfter": "-1"}, 20001, "Configuration.ReplayAfter"),
        ({"Configuration.ReplayAfter": "1.5"}, 20001, "Configuration.ReplayAfter"),
    ],
)
def test_invalid_parameter_is_refused_on_create_and_update(
    instance: Instance, parameters: dict[str, object], code: int, parameter: str
) -> None:
    webhook = create_webhook(new_conversation(instance)).fetch()
    before = instance.items("")
    paths = {PATH: WEBHOOK, f"{PATH}/{webhook.sid}": {}}
    for path, rest in paths.items():
        if path == PATH or parameter not in ("Target", "Configuration.ReplayAfter"):
            refused = instance.call("POST", path, rest | parameters)
            assert (refused.status, refused.body["code"]) == (400, code)
            assert refused.body["details"]["parameter"] == parameter
            assert refused.body["details"].get("index") == (int(parameter[-2]) if "[" in parameter else None)
    assert instance.items("") == before


@pytest.mark.parametrize(
    ("parameters", "problems"),
    [
        ({}, [(50368, "Target")]),
        ({"Target": "webhook"}, [(50369, "Configuration.Url"), (50370, "Configuration.Filters")]),
        ({"Target": "webhook", "Configuration.Url": URL}, [(50370, "Configuration.Filters")]),
        ({"Target": "trigger"}, [(50369, "Configuration.Url"), (50371, "Configuration.Triggers")]),
        (WEBHOOK | {"Target": "trigger"}, [(50371, "Configuration.Triggers")]),
        (WEBHOOK | {"Target": "studio"}, [(50367, "Configuration.FlowSid")]),
        (
            {"Target": "pigeon", "Configuration.Url": "x", "Configuration.Filters": "x"},
            [(50364, "Target"), (50054, "Configuration.Url"), (50365, "Configuration.Filters[0]")],
        ),
    ],
)
def test_every_missing_or_invalid_parameter_is_reported(
    instance: Instance, parameters: dict[str, object], problems: list[tuple[int, str]]
) -> None:
    new_conversation(instance)
    before = instance.items("")
    refused = instance.call("POST", PATH, parameters)
    details = refused.body["details"]
    reported = [(refused.body["code"], details["parameter"])]
    reported += [(problem["code"], problem["parameter"]) for problem in details.get("problems", [])]
    assert (refused.status, reported) == (400, problems)
    assert instance.items("") == before


def test_longest_allowed_url_and_triggers_are_accepted(instance: Instance) -> None:
    new_conversation(instance)
    longest = {"Configuration.Url": URL.ljust(512, "x"), "Configuration.Triggers": ["é" * 248] * 5}
    assert instance.call("POST", PATH, TRIGGER | longest).status == 201


@pytest.mark.each_engine
def test_sixth_webhook_is_refused_until_one_is_deleted(instance: Instance) -> None:
    conversation = new_conversation(instance)
    first, *_ = [create_webhook(conversation) for _ in range(5)]
    before = instance.items("")
    refused = refusal(lambda: create_webhook(conversation))
    assert (refused.status, refused.code) == (400, 50361)
    assert instance.items("") == before
    first.delete()
    create_webhook(conversation)
    assert len(conversation.webhooks.list()) == 5


def test_webhook_changes_make_no_events_and_ignore_the_header(instance: Instance) -> None:
    conversation = new_conversation(instance)
    before = instance.changes()
    header = {"X-Twilio-Webhook-Enabled": "nonsense"}
    sid = instance.call("POST", PATH, WEBHOOK, header).body["sid"]
    assert instance.call("POST", f"{PATH}/{sid}", {"Configuration.Method": "GET"}, header).status == 200
    assert instance.call("DELETE", f"{PATH}/{sid}", headers=header).status == 204
    assert conversation.webhooks.list() == []
    assert instance.changes() == before


# States of the conversation


@pytest.mark.each_engine
def test_webhooks_can_be_changed_while_conversation_is_initializing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(conversation_in(instance, "initializing", CHAT_AND_SMS))
    kept, gone = create_webhook(conversation), create_webhook(conversation)
    assert kept.update(configuration_method="get").configuration["method"] == "get"
    assert gone.delete()
    instance.work()
    assert conversation.fetch().state == "active"
    assert len(conversation.participants.list()) == 2
    assert [webhook.sid for webhook in conversation.webhooks.list()] == [kept.fetch().sid]


@pytest.mark.each_engine
def test_webhook_changes_keep_conversation_dates_and_timers(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.conversations.create(state="inactive", timers_closed="PT1H").sid
    before = clocked.call("GET", f"/v1/Conversations/{sid}").body
    clock.move(timedelta(minutes=1))
    webhook = create_webhook(v1.conversations(sid))
    webhook.update(configuration_method="get")
    webhook.delete()
    assert clocked.call("GET", f"/v1/Conversations/{sid}").body == before


@pytest.mark.each_engine
def test_webhooks_of_closed_conversation_can_be_read_and_deleted(instance: Instance) -> None:
    conversation = new_conversation(instance)
    webhook = create_webhook(conversation)
    conversation.update(state="closed")
    for request in (
        lambda: create_webhook(conversation),
        lambda: webhook.update(configuration_method="get"),
        webhook.update,
    ):
        assert (refusal(request).status, refusal(request).code) == (400, 50377)
    assert [each.sid for each in conversation.webhooks.list()] == [webhook.fetch().sid]
    assert webhook.delete()
    assert conversation.webhooks.list() == []


@pytest.mark.each_engine
@pytest.mark.parametrize("state", ["initializing", "active", "closed"])
def test_deleting_conversation_hides_webhooks_and_keeps_them_for_deliveries(instance: Instance, state: str) -> None:
    conversation = instance.client().conversations.v1.conversations(conversation_in(instance, "initializing"))
    sid, webhook = conversation.fetch().sid, create_webhook(conversation)
    if state != "initializing":
        instance.work()
        conversation.update(state=state)
    known = webhook.fetch().sid
    conversation.delete()
    assert refusal(webhook.fetch).code == 20404
    assert instance.call("GET", f"/v1/Conversations/{sid}/Webhooks").body["code"] == 20404
    for change in (lambda: create_webhook(conversation), webhook.update, webhook.delete):
        assert (refusal(change).status, refusal(change).code) == (409, 50334)
    instance.sweep(AT_ONCE)
    assert set(item_kinds_left(instance, sid)) == {"change", "webhooks"}
    assert refusal(lambda: create_webhook(conversation)).code == 20404
    (outlasting,) = instance.items("webhooks")
    assert [each["sid"] for each in outlasting["webhooks"]] == [known]
    days = (float(outlasting["expires_at"]) - time.time()) / 86400
    assert days == pytest.approx(WEBHOOKS_RETENTION.days, abs=0.01)


def test_webhooks_of_deleted_conversation_expire_after_retention(embedded: EmbeddedInstance) -> None:
    conversation = new_conversation(embedded)
    create_webhook(conversation)
    conversation.delete()
    embedded.sweep(AT_ONCE)
    now = embedded.engine.edges.now()
    embedded.engine.table.remove_expired(now + WEBHOOKS_RETENTION - timedelta(hours=1))
    assert len(embedded.items("webhooks")) == 1
    embedded.engine.table.remove_expired(now + WEBHOOKS_RETENTION + timedelta(hours=1))
    assert embedded.items("webhooks") == []


@pytest.mark.each_engine
def test_stale_webhook_write_after_deletion_is_refused(instance: Instance) -> None:
    conversation = new_conversation(instance)
    webhook, sid = create_webhook(conversation), conversation.fetch().sid
    found = ProvisioningRepository(instance.table).fetch(instance.account.sid, sid)
    webhooks = ScopedWebhookRepository(instance.table)
    standing = webhooks.every(instance.account.sid, sid)
    assert found is not None
    assert [each.sid for each in standing] == [webhook.fetch().sid]
    conversation.delete()
    for erase in (False, True):
        if erase:
            ConversationRepository(instance.table).erase(instance.account.sid, sid, lambda: True)
        before = instance.items("")
        with pytest.raises(ChangedMeanwhileError):
            webhooks.replace(found[0], standing)
        assert instance.items("") == before
    assert set(item_kinds_left(instance, sid)) == {"change", "webhooks"}
