"""Clients create and update conversations. See docs/behaviour/conversations.md."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.support.instances import ORIGIN, Instance, refusal


def shown(resource: Any) -> dict[str, Any]:
    """Return the public attributes of an SDK resource."""
    return {name: value for name, value in vars(resource).items() if not name.startswith("_")}


def test_create_sets_requested_state_and_refuses_closed(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversations.create
    assert create().state == "active"
    assert create(state="inactive").state == "inactive"
    for state, code in (("closed", 50384), ("initializing", 50378), ("open", 50378)):
        assert refusal(partial(create, state=state)).code == code
    assert len(instance.items("conversation")) == 2


def test_response_has_expected_fields(instance: Instance) -> None:
    answered = instance.call("POST", "/v1/Conversations", {"FriendlyName": "Visit", "Timers.Inactive": "PT1M"})
    assert answered.status == 201
    (stored,) = instance.items("conversation")
    url = f"{ORIGIN}/v1/Conversations/{stored['sid']}"
    expected = {
        "sid": stored["sid"],
        "account_sid": instance.account.sid,
        "chat_service_sid": instance.account.default_chat_service_sid,
        "messaging_service_sid": instance.account.default_messaging_service_sid,
        "friendly_name": "Visit",
        "unique_name": None,
        "attributes": "{}",
        "date_created": f"{stored['date_created'][:19]}Z",
        "date_updated": f"{stored['date_updated'][:19]}Z",
        "state": "active",
        "timers": {"date_inactive": f"{stored['date_inactive'][:19]}Z"},
        "bindings": {},
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
            "export": None,
        },
    }
    assert answered.body == expected
    assert instance.call("GET", f"/v1/Conversations/{stored['sid']}").body == expected
    assert instance.call("POST", f"/v1/Conversations/{stored['sid']}").body == expected


@pytest.mark.each_engine
def test_create_returns_every_parameter(instance: Instance) -> None:
    created = instance.client().conversations.v1.conversations.create(
        friendly_name="Visit",
        unique_name="visit 7 / 🙂",
        date_created=datetime(2020, 1, 1, tzinfo=UTC),
        date_updated=datetime(2020, 2, 1, tzinfo=UTC),
        messaging_service_sid="MG" + "0" * 32,
        attributes='{ "topic": "feedback" }',
        state="inactive",
        timers_inactive="PT1M",
        timers_closed="PT10M",
        bindings_email_address="a@example.com",
        bindings_email_name="A",
    )
    assert (created.friendly_name, created.unique_name, created.state) == ("Visit", "visit 7 / 🙂", "inactive")
    assert (created.date_created.year, created.date_updated.month) == (2020, 2)
    assert (created.messaging_service_sid, created.attributes) == ("MG" + "0" * 32, '{ "topic": "feedback" }')
    assert set(created.timers) == {"date_inactive", "date_closed"}
    assert created.bindings == {"email": {"projected_address": "a@example.com", "name": "A"}}


@pytest.mark.each_engine
def test_update_returns_every_parameter(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create(unique_name="before", timers_inactive="P1D").sid
    updated = v1.conversations("before").update(
        friendly_name="Visit",
        unique_name="after",
        date_created=datetime(2020, 1, 1, tzinfo=UTC),
        date_updated=datetime(2099, 2, 1, tzinfo=UTC),
        messaging_service_sid="MG" + "0" * 32,
        attributes='{ "topic": "feedback" }',
        state="inactive",
        timers_inactive="PT0S",
        timers_closed="PT10M",
        bindings_email_address="a@example.com",
        bindings_email_name="A",
    )
    assert (updated.sid, updated.friendly_name, updated.unique_name) == (sid, "Visit", "after")
    assert (updated.state, updated.attributes) == ("inactive", '{ "topic": "feedback" }')
    assert (updated.date_created.year, updated.date_updated.year) == (2020, 2099)
    assert updated.messaging_service_sid == "MG" + "0" * 32
    assert set(updated.timers) == {"date_closed"}
    assert updated.bindings == {"email": {"projected_address": "a@example.com", "name": "A"}}
    assert shown(v1.conversations("after").fetch()) == shown(updated)


@pytest.mark.each_engine
def test_update_keeps_fields_not_given(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversations.create(
        friendly_name="Visit", unique_name="visit", attributes='{"a": 1}', state="inactive"
    )
    updated = v1.conversations(created.sid).update(friendly_name="Other")
    assert (updated.unique_name, updated.attributes, updated.state) == ("visit", '{"a": 1}', "inactive")
    assert updated.messaging_service_sid == created.messaging_service_sid
    assert updated.date_created == created.date_created


@pytest.mark.each_engine
def test_update_without_parameters_writes_nothing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create(timers_inactive="PT1M").sid
    before = instance.items("")
    for parameters in ({}, {"Unknown": "x"}, {"State": "active"}):
        answered = instance.call("POST", f"/v1/Conversations/{sid}", parameters)
        assert (answered.status, answered.body["sid"]) == (200, sid)
    assert instance.items("") == before


@pytest.mark.each_engine
def test_refused_update_stores_nothing(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    v1.conversations.create(unique_name="taken")
    sid = v1.conversations.create(unique_name="mine").sid
    before = instance.items("")
    refused: dict[str, tuple[dict[str, str], int]] = {
        "state": ({"state": "initializing"}, 50378),
        "name": ({"unique_name": "taken", "friendly_name": "Other"}, 50353),
        "sid": ({"unique_name": "CH" + "0" * 32}, 50390),
        "attributes": ({"attributes": "text"}, 50304),
    }
    for parameters, code in refused.values():
        error = refusal(partial(v1.conversations(sid).update, **parameters))
        assert error.code == code
    assert instance.items("") == before
    empty = instance.call("POST", f"/v1/Conversations/{sid}", {"State": ""})
    assert (empty.status, empty.body["code"]) == (400, 50374)


def test_webhook_header_is_checked_before_parameters(instance: Instance) -> None:
    sid = instance.client().conversations.v1.conversations.create().sid
    headers = {"X-Twilio-Webhook-Enabled": "maybe"}
    for method, path in (("POST", ""), ("POST", f"/{sid}"), ("DELETE", f"/{sid}")):
        refused = instance.call(method, f"/v1/Conversations{path}", {"State": "x"}, headers)
        assert (refused.status, refused.body["code"]) == (400, 20001)
    assert instance.client().conversations.v1.conversations(sid).fetch().state == "active"


@pytest.mark.each_engine
def test_conversation_is_scoped_to_its_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    created = service.conversations.create(unique_name="visit")
    base = f"{ORIGIN}/v1/Services/{created.chat_service_sid}/Conversations/{created.sid}"
    updated = service.conversations("visit").update(friendly_name="Visit")
    assert (created.url, updated.url, updated.links["messages"]) == (base, base, f"{base}/Messages")
    other = v1.conversations.create(unique_name="visit")
    assert other.sid != created.sid
    for elsewhere in (v1.conversations(created.sid), service.conversations(other.sid)):
        assert refusal(elsewhere.delete).code == 20404
        assert refusal(partial(elsewhere.update, friendly_name="x")).code == 20404
    assert service.conversations("visit").delete()
    assert v1.conversations("visit").fetch().sid == other.sid


def test_update_and_delete_of_unknown_conversation_are_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    before = instance.items("")
    for name in ("CH" + "0" * 32, "unknown", "x" * 300):
        assert refusal(partial(v1.conversations(name).update, friendly_name="x")).code == 20404
        assert refusal(v1.conversations(name).delete).code == 20404
    assert instance.items("") == before


@pytest.mark.each_engine
def test_conversation_of_another_account_is_not_updated_or_deleted(instance: Instance) -> None:
    sid = instance.client().conversations.v1.conversations.create(unique_name="visit").sid
    other = instance.accounts.create()
    theirs = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1
    for name in (sid, "visit"):
        assert refusal(partial(theirs.conversations(name).update, friendly_name="x")).code == 20404
        assert refusal(theirs.conversations(name).delete).code == 20404
    assert theirs.conversations.create(unique_name="visit").sid != sid


# Unique names


@pytest.mark.each_engine
def test_update_of_unique_name_releases_old_name(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversations.create(unique_name="old")
    v1.conversations(created.sid).update(unique_name="new")
    assert v1.conversations("new").fetch().sid == created.sid
    assert refusal(v1.conversations("old").fetch).code == 20404
    assert v1.conversations.create(unique_name="old").sid != created.sid
    assert len(instance.items("lock")) == 2


@pytest.mark.each_engine
def test_emptied_unique_name_can_be_taken_again(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversations.create(unique_name="visit")
    emptied = instance.call("POST", "/v1/Conversations/visit", {"UniqueName": ""})
    assert (emptied.status, emptied.body["unique_name"]) == (200, None)
    assert instance.items("lock") == []
    assert v1.conversations.create(unique_name="visit").sid != created.sid


@pytest.mark.each_engine
def test_update_rejects_unique_name_of_another_conversation(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    holder = v1.conversations.create(unique_name="taken")
    named, nameless = v1.conversations.create(unique_name="mine"), v1.conversations.create()
    for sid in (named.sid, nameless.sid):
        error = refusal(partial(v1.conversations(sid).update, unique_name="taken"))
        assert (error.status, error.code) == (409, 50353)
        assert error.details["conflicting_conversation_sid"] == holder.sid
    assert v1.conversations("mine").fetch().sid == named.sid


@pytest.mark.each_engine
def test_update_accepts_own_unique_name(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversations.create(unique_name="mine")
    assert v1.conversations("mine").update(unique_name="mine", friendly_name="Visit").friendly_name == "Visit"
    assert [lock["conversation_sid"] for lock in instance.items("lock")] == [created.sid]
