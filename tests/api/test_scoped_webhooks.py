"""The webhooks of a conversation (reference, a.6, c.7 and d.7)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from convoke.storage.conversations import WEBHOOKS_RETENTION, ConversationRepository
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


def visit(instance: Instance) -> Any:
    """A conversation with that unique name, as the SDK reaches it."""
    v1 = instance.client().conversations.v1
    return v1.conversations(v1.conversations.create(unique_name="visit").sid)


def hook(conversation: Any, **parameters: Any) -> Any:
    """A webhook, as the SDK reaches it."""
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
def test_the_answer_has_exactly_the_fields_of_the_reference(
    instance: Instance, parameters: dict[str, object], configuration: dict[str, object]
) -> None:
    conversation = visit(instance).fetch().sid
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


def test_what_only_another_target_knows_is_ignored_and_words_are_taken_in_any_case(instance: Instance) -> None:
    visit(instance)
    created = instance.call("POST", PATH, {**WEBHOOK, **TRIGGER, **STUDIO, "Target": "Studio"}).body
    assert (created["target"], created["configuration"]) == ("studio", {"flow_sid": FLOW})
    created = instance.call("POST", PATH, {**STUDIO, **WEBHOOK, "Configuration.Method": "Get"}).body
    assert created["configuration"] == {"url": URL, "method": "Get", "filters": ["onMessageAdded"]}


def test_without_a_method_it_is_posted_to_and_a_filter_given_twice_is_one(instance: Instance) -> None:
    visit(instance)
    filters = ["onMessageAdded", "onConversationStateUpdated", "onMessageAdded"]
    created = instance.call("POST", PATH, {**WEBHOOK, "Configuration.Filters": filters}).body
    assert created["configuration"] == {"url": URL, "method": "POST", "filters": filters[:2]}


def test_messages_that_are_to_be_replayed_are_kept_and_not_shown(instance: Instance) -> None:
    visit(instance)
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
def test_an_update_changes_what_it_names_and_leaves_the_rest(
    clocked: Instance, clock: ManualClock, target: str, field: str, before: object, after: object
) -> None:
    conversation = visit(clocked)
    configured = {"filters": ["onMessageAdded"], "triggers": ["help", "stop"], "flow_sid": FLOW, "method": "POST"}
    given = {f"configuration_{name}": value for name, value in {**configured, field: before}.items()}
    other = hook(conversation).fetch()
    webhook = hook(conversation, target=target, **given)
    was = webhook.fetch()
    clock.move(timedelta(minutes=1))
    updated = webhook.update(**{f"configuration_{field}": after})
    assert was.configuration[field] == before
    assert updated.configuration == webhook.fetch().configuration == {**was.configuration, field: after}
    assert (updated.target, updated.date_created) == (target, was.date_created)
    assert updated.date_updated == was.date_updated + timedelta(minutes=1)
    assert [each.sid for each in conversation.webhooks.list()] == [other.sid, updated.sid]
    assert conversation.webhooks(other.sid).fetch().date_updated == other.date_updated


def test_an_update_without_anything_that_its_target_knows_changes_nothing(
    clocked: Instance, clock: ManualClock
) -> None:
    webhook = hook(visit(clocked))
    before = clocked.items("")
    clock.move(timedelta(minutes=1))
    for parameters in ({}, {"Configuration.Triggers": ["help"], "Configuration.FlowSid": FLOW}, {"Target": "studio"}):
        updated = clocked.call("POST", f"{PATH}/{webhook.fetch().sid}", parameters)
        assert (updated.status, updated.body["target"]) == (200, "webhook")
    assert clocked.items("") == before


def test_a_list_follows_its_pages(instance: Instance) -> None:
    conversation = visit(instance)
    assert conversation.webhooks.list() == []
    made = [hook(conversation).fetch().sid for _ in range(5)]
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


def test_a_page_goes_on_where_it_was_though_what_it_ended_with_is_deleted(instance: Instance) -> None:
    conversation = visit(instance)
    made = [hook(conversation).fetch().sid for _ in range(3)]
    first = conversation.webhooks.page(page_size=1)
    conversation.webhooks(made[0]).delete()
    assert [webhook.sid for webhook in first.next_page()] == made[1:2]


def test_what_is_deleted_is_gone_and_the_rest_is_not(instance: Instance) -> None:
    conversation = visit(instance)
    gone, kept = hook(conversation), hook(conversation)
    assert gone.delete() is True
    for request in (gone.fetch, gone.update, gone.delete):
        assert refusal(request).code == 20404
    assert [webhook.sid for webhook in conversation.webhooks.list()] == [kept.fetch().sid]
    kept.delete()
    assert instance.items("webhooks") == []


def test_whose_it_is_not_does_not_find_it(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    mine, other = visit(instance), v1.conversations(v1.conversations.create().sid)
    sid = hook(mine).fetch().sid
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    stranger = instance.accounts.create()
    theirs = instance.client(stranger.sid, instance.accounts.token(stranger.sid)).conversations.v1
    there, with_them = (each.conversations(mine.fetch().sid) for each in (service, theirs))
    for webhook in (other.webhooks(sid), mine.webhooks("WH" + "0" * 32), there.webhooks(sid), with_them.webhooks(sid)):
        for request in (webhook.fetch, webhook.update, webhook.delete):
            assert refusal(request).code == 20404
    assert refusal(lambda: hook(there)).code == refusal(lambda: hook(with_them)).code == 20404
    path = f"/v1/Services/{service.fetch().sid}/Conversations/{mine.fetch().sid}/Webhooks"
    assert instance.call("GET", path).body["code"] == 20404


@pytest.mark.parametrize("malformed", ["WH0", "CH" + "0" * 32])
def test_what_is_no_webhook_sid_is_refused_where_there_is_a_conversation(instance: Instance, malformed: str) -> None:
    webhook = visit(instance).webhooks(malformed)
    for request in (webhook.fetch, webhook.update, webhook.delete):
        assert (refusal(request).status, refusal(request).code) == (400, 50363)


def test_the_service_tree_has_a_field_more_and_urls_of_its_own(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service_sid = v1.services.create(friendly_name="Support").sid
    service = v1.services(service_sid)
    conversation = service.conversations(service.conversations.create().sid)
    webhook = hook(conversation)
    assert webhook.fetch().chat_service_sid == service_sid
    assert webhook.update(configuration_method="get").configuration["method"] == "get"
    assert webhook.fetch().url == f"{conversation.fetch().links['webhooks']}/{webhook.fetch().sid}"
    made = [webhook.fetch().sid, *(hook(conversation).fetch().sid for _ in range(4))]
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
def test_a_wrong_value_is_refused_when_it_is_created_and_when_it_is_updated(
    instance: Instance, parameters: dict[str, object], code: int, parameter: str
) -> None:
    webhook = hook(visit(instance)).fetch()
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
def test_everything_that_is_missing_or_wrong_is_told(
    instance: Instance, parameters: dict[str, object], problems: list[tuple[int, str]]
) -> None:
    visit(instance)
    before = instance.items("")
    refused = instance.call("POST", PATH, parameters)
    details = refused.body["details"]
    told = [(refused.body["code"], details["parameter"])]
    told += [(problem["code"], problem["parameter"]) for problem in details.get("problems", [])]
    assert (refused.status, told) == (400, problems)
    assert instance.items("") == before


def test_the_longest_url_and_trigger_are_taken(instance: Instance) -> None:
    visit(instance)
    longest = {"Configuration.Url": URL.ljust(512, "x"), "Configuration.Triggers": ["é" * 248] * 5}
    assert instance.call("POST", PATH, TRIGGER | longest).status == 201


def test_the_sixth_is_refused_until_one_is_deleted(instance: Instance) -> None:
    conversation = visit(instance)
    first, *_ = [hook(conversation) for _ in range(5)]
    before = instance.items("")
    refused = refusal(lambda: hook(conversation))
    assert (refused.status, refused.code) == (400, 50361)
    assert instance.items("") == before
    first.delete()
    hook(conversation)
    assert len(conversation.webhooks.list()) == 5


def test_nobody_is_told_of_a_webhook_and_the_header_is_not_read(instance: Instance) -> None:
    conversation = visit(instance)
    before = instance.changes()
    header = {"X-Twilio-Webhook-Enabled": "nonsense"}
    sid = instance.call("POST", PATH, WEBHOOK, header).body["sid"]
    assert instance.call("POST", f"{PATH}/{sid}", {"Configuration.Method": "GET"}, header).status == 200
    assert instance.call("DELETE", f"{PATH}/{sid}", headers=header).status == 204
    assert conversation.webhooks.list() == []
    assert instance.changes() == before


# The life of the conversation


def test_a_webhook_may_come_change_and_go_while_it_is_initializing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    conversation = v1.conversations(conversation_in(instance, "initializing", CHAT_AND_SMS))
    kept, gone = hook(conversation), hook(conversation)
    assert kept.update(configuration_method="get").configuration["method"] == "get"
    assert gone.delete()
    instance.work()
    assert conversation.fetch().state == "active"
    assert len(conversation.participants.list()) == 2
    assert [webhook.sid for webhook in conversation.webhooks.list()] == [kept.fetch().sid]


def test_it_leaves_the_conversation_as_it_is(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.conversations.create(state="inactive", timers_closed="PT1H").sid
    before = clocked.call("GET", f"/v1/Conversations/{sid}").body
    clock.move(timedelta(minutes=1))
    webhook = hook(v1.conversations(sid))
    webhook.update(configuration_method="get")
    webhook.delete()
    assert clocked.call("GET", f"/v1/Conversations/{sid}").body == before


def test_of_a_closed_conversation_webhooks_can_be_read_and_deleted(instance: Instance) -> None:
    conversation = visit(instance)
    webhook = hook(conversation)
    conversation.update(state="closed")
    for request in (lambda: hook(conversation), lambda: webhook.update(configuration_method="get"), webhook.update):
        assert (refusal(request).status, refusal(request).code) == (400, 50377)
    assert [each.sid for each in conversation.webhooks.list()] == [webhook.fetch().sid]
    assert webhook.delete()
    assert conversation.webhooks.list() == []


@pytest.mark.parametrize("state", ["initializing", "active", "closed"])
def test_they_are_deleted_with_the_conversation(instance: Instance, state: str) -> None:
    conversation = instance.client().conversations.v1.conversations(conversation_in(instance, "initializing"))
    sid, webhook = conversation.fetch().sid, hook(conversation)
    if state != "initializing":
        instance.work()
        conversation.update(state=state)
    known = webhook.fetch().sid
    conversation.delete()
    assert refusal(webhook.fetch).code == 20404
    assert instance.call("GET", f"/v1/Conversations/{sid}/Webhooks").body["code"] == 20404
    for change in (lambda: hook(conversation), webhook.update, webhook.delete):
        assert (refusal(change).status, refusal(change).code) == (409, 50334)
    instance.sweep(AT_ONCE)
    assert set(item_kinds_left(instance, sid)) == {"change", "webhooks"}
    assert refusal(lambda: hook(conversation)).code == 20404
    (outlasting,) = instance.items("webhooks")
    assert [each["sid"] for each in outlasting["webhooks"]] == [known]
    days = (float(outlasting["expires_at"]) - time.time()) / 86400
    assert days == pytest.approx(WEBHOOKS_RETENTION.days, abs=0.01)


def test_of_a_deleted_conversation_they_are_removed_some_time_later(embedded: EmbeddedInstance) -> None:
    conversation = visit(embedded)
    hook(conversation)
    conversation.delete()
    embedded.sweep(AT_ONCE)
    now = embedded.engine.edges.now()
    embedded.engine.table.remove_expired(now + WEBHOOKS_RETENTION - timedelta(hours=1))
    assert len(embedded.items("webhooks")) == 1
    embedded.engine.table.remove_expired(now + WEBHOOKS_RETENTION + timedelta(hours=1))
    assert embedded.items("webhooks") == []


def test_whoever_comes_too_late_with_a_webhook_leaves_nothing(instance: Instance) -> None:
    conversation = visit(instance)
    webhook, sid = hook(conversation), conversation.fetch().sid
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
