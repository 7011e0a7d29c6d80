"""Clients list events and delivery attempts, and replay events. See docs/behaviour/events.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from twilio.request_validator import RequestValidator

from convoke.domain.connections import DEFAULT_RETRIES
from convoke.domain.retention import LEDGER_LIFETIME
from convoke.storage.lists import MIN_ENTRIES_WITH_FILTER
from tests.support.examples import chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock

PATH = "/convoke/v1/Events"
URL = "https://hooks.example.com/x"
STATE = "onConversationStateUpdated"


def configure(instance: Instance, *filters: str) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=URL, filters=list(filters))


def make(instance: Instance, members: int = 2) -> str:
    create = instance.client().conversations.v1.conversation_with_participants.create
    sid: str = create(participant=chat(members)).sid
    instance.work()
    return sid


def page(instance: Instance, url: str) -> Any:
    answered = instance.call("GET", url.removeprefix(ORIGIN))
    assert answered.status == 200
    return answered.body


def pages(instance: Instance, url: str, direction: str = "next_page_url", key: str = "events") -> list[list[Any]]:
    found = []
    while url:
        body = page(instance, url)
        found.append(body[key])
        url = body["meta"][direction]
    return found


def types(events: Sequence[Any]) -> list[str]:
    return [event["event_type"] for event in events]


def state_event(instance: Instance) -> Any:
    return next(event for event in page(instance, PATH)["events"] if event["event_type"] == STATE)


def attempts(instance: Instance, event: Any) -> list[Any]:
    listed: list[Any] = page(instance, event["links"]["attempts"])["attempts"]
    return listed


@pytest.mark.each_engine
def test_events_are_listed_newest_first(instance: Instance) -> None:
    sid = make(instance, 3)
    listed = page(instance, PATH)
    added = [*["onParticipantAdded"] * 3, *["onUserAdded"] * 3]
    assert types(listed["events"]) == [STATE, *added, "onConversationAdded"]
    assert {event["conversation_sid"] for event in listed["events"] if event["event_type"] != "onUserAdded"} == {sid}
    names = [event["payload"]["Identity"] for event in listed["events"] if "Identity" in event["payload"]]
    assert names == ["member 2", "member 1", "member 0"] * 2
    assert (listed["meta"]["key"], listed["meta"]["page_size"]) == ("events", 50)


def test_fetched_event_equals_listed_event(instance: Instance) -> None:
    sid = make(instance)
    event = state_event(instance)
    url = f"{ORIGIN}{PATH}/{event['id']}"
    assert page(instance, event["url"]) == event
    assert page(instance, url.replace(event["id"], "EV" + event["id"][2:].upper())) == event
    assert event == {
        "id": event["id"],
        "account_sid": instance.account.sid,
        "conversation_sid": sid,
        "event_type": STATE,
        "occurred_at": event["payload"]["StateUpdated"],
        "webhooks": True,
        "payload": event["payload"],
        "url": url,
        "links": {"attempts": f"{url}/Attempts", "replay": f"{url}/Replay"},
    }


@pytest.mark.each_engine
@pytest.mark.parametrize("size", [1, 2, 3, 4, 50])
def test_pages_may_end_inside_a_change_and_lead_both_ways(instance: Instance, size: int) -> None:
    make(instance, 5)
    make(instance, 1)
    (every,) = pages(instance, PATH)
    assert len(every) == 12 + 3
    forth = pages(instance, f"{PATH}?PageSize={size}")
    assert [len(part) for part in forth[:-1]] == [size] * (len(forth) - 1)
    assert [event for part in forth for event in part] == every
    url = f"{PATH}?PageSize={size}"
    while following := page(instance, url)["meta"]["next_page_url"]:
        url = following
    back = pages(instance, url, "previous_page_url")
    assert [event for part in reversed(back) for event in part] == every


@pytest.mark.each_engine
def test_events_are_filtered_by_conversation_and_date(instance: Instance) -> None:
    first, second = make(instance), make(instance)
    listed = pages(instance, f"{PATH}?ConversationSid={first}&PageSize=1")
    assert {event["conversation_sid"] for part in listed for event in part} == {first}
    assert len([event for part in listed for event in part]) == 4
    assert page(instance, f"{PATH}?ConversationSid={second}&StartDate=2020-01-01")["events"]
    assert page(instance, f"{PATH}?EndDate=2020-01-01")["events"] == []
    refused = instance.call("GET", f"{PATH}?ConversationSid=CHx")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (
        400,
        20423,
        "ConversationSid",
    )


def test_page_with_filter_reads_bounded_number_of_changes(embedded: EmbeddedInstance) -> None:
    conversations = embedded.client().conversations.v1.conversations
    first = conversations.create().sid
    for _ in range(MIN_ENTRIES_WITH_FILTER * 5):
        conversations.create()
    found = pages(embedded, f"{PATH}?ConversationSid={first}&PageSize=1")
    assert types([event for part in found for event in part]) == ["onConversationAdded"]
    assert 1 < len(found) < 5


@pytest.mark.parametrize("event_id", ["EV", "EV" + "0" * 32, "EV" + "0" * 32 + "-0", "EV" + "0" * 32 + "-x", "CH-0"])
def test_unknown_event_is_not_found(instance: Instance, event_id: str) -> None:
    make(instance)
    place = state_event(instance)["id"].partition("-")[0]
    for path in (event_id, f"{event_id}/Attempts", f"{place}-7", f"{place}-00"):
        assert instance.call("GET", f"{PATH}/{path}").body["code"] == 20404
    assert instance.call("POST", f"{PATH}/{event_id}/Replay").body["code"] == 20404


class BrokenBus:
    def publish(self, _: object) -> None:
        raise OSError("the bus is gone")


def test_event_republished_by_deletion_is_listed_once() -> None:
    with held_instance(event_bus=BrokenBus()) as instance:
        conversations = instance.client().conversations.v1.conversations
        sid = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
        instance.run_steps()
        assert conversations(sid).fetch().state == "active"
        conversations(sid).delete()
        removal = instance.changes()[-1]
        assert [event["type"] for event in removal["events"]] == [STATE, "onConversationRemoved"]
        listed = page(instance, PATH)["events"]
        assert types(listed) == [
            *("onConversationRemoved", STATE, "onParticipantAdded", "onUserAdded", "onConversationAdded")
        ]
        assert page(instance, listed[1]["url"]) == listed[1]


@pytest.mark.each_engine
def test_attempts_record_status_error_and_start_of_response(instance: Instance) -> None:
    configure(instance, STATE)
    instance.receivers.statuses = [500, None, 403]
    instance.receivers.body = "größer".encode() * 100 + b"\xff"
    make(instance)
    for _ in range(DEFAULT_RETRIES + 1):
        instance.forget_pauses()
        instance.work()
    first, second, third = attempts(instance, state_event(instance))
    assert set(first) == {
        *("event_id", "replay_sid", "target", "number", "method", "url", "started_at", "status"),
        *("milliseconds", "error", "answer", "paused_until", "links"),
    }
    assert [(each["number"], each["status"], each["error"]) for each in (first, second, third)] == [
        (1, 500, None),
        (2, None, "no connection"),
        (3, 403, None),
    ]
    assert (first["target"], first["method"], first["url"], first["replay_sid"]) == ("account", "POST", URL, None)
    assert first["answer"].startswith("größergrößer")
    assert len(first["answer"].encode()) <= 502
    assert second["answer"] is None
    listed = pages(instance, f"{state_event(instance)['links']['attempts']}?PageSize=2", key="attempts")
    assert listed == [[first, second], [third]]


@pytest.mark.each_engine
def test_request_of_an_attempt_is_made_again_and_signed(instance: Instance) -> None:
    configure(instance, STATE)
    instance.receivers.statuses = [500]
    make(instance)
    instance.forget_pauses()
    instance.work()
    event = state_event(instance)
    first, second = attempts(instance, event)
    path = first["links"]["request"].removeprefix(ORIGIN)
    assert path == f"{PATH}/{event['id']}/Attempts/account.1/Request"
    for attempt, retry_count in ((first, "0"), (second, "1")):
        request = page(instance, attempt["links"]["request"])
        assert (request["method"], request["url"]) == ("POST", URL)
        parameters = dict(parse_qsl(request["body"], keep_blank_values=True))
        assert parameters == {**event["payload"], "RetryCount": retry_count}
        assert RequestValidator(instance.token).validate(URL, parameters, request["headers"]["X-Twilio-Signature"])


def test_request_of_a_get_attempt_has_its_parameters_in_the_url(instance: Instance) -> None:
    configure(instance, STATE)
    instance.client().conversations.v1.configuration.webhooks().update(method="GET")
    make(instance)
    (attempt,) = attempts(instance, state_event(instance))
    request = page(instance, attempt["links"]["request"])
    assert (request["method"], request["body"]) == ("GET", None)
    assert request["url"].startswith(f"{URL}?EventType={STATE}&")
    assert RequestValidator(instance.token).validate(request["url"], {}, request["headers"]["X-Twilio-Signature"])


def test_request_of_an_attempt_of_a_replay_names_the_replay(instance: Instance) -> None:
    configure(instance, STATE)
    make(instance)
    event = state_event(instance)
    other = "https://other.example.com/"
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=other)
    sid = instance.call("POST", f"{PATH}/{event['id']}/Replay").body["sid"]
    instance.work()
    requests = [each["links"]["request"] for each in attempts(instance, event)]
    assert requests == [f"{event['url']}/Attempts/{name}/Request" for name in ("account.1", f"{sid}.account.1")]
    assert [page(instance, request)["url"] for request in requests] == [URL, other]


@pytest.mark.parametrize("name", ["account.2", "account", "account.0", "service.1", "RP.account.1", "#account#01"])
def test_request_of_an_unknown_attempt_is_not_found(instance: Instance, name: str) -> None:
    configure(instance, STATE)
    make(instance)
    path = f"{PATH}/{state_event(instance)['id']}/Attempts/{quote(name)}/Request"
    assert instance.call("GET", path).status == 404


@pytest.mark.each_engine
def test_replay_uses_current_webhook_and_records_its_own_attempts(instance: Instance) -> None:
    configure(instance, STATE)
    make(instance)
    event = state_event(instance)
    other = "https://other.example.com/"
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=other)
    answered = instance.call("POST", f"{PATH}/{event['id']}/Replay")
    assert answered.status == 202
    assert answered.body == {
        "sid": answered.body["sid"],
        "account_sid": instance.account.sid,
        "event_id": event["id"],
        "targets": ["account"],
        "links": {"event": event["url"], "attempts": event["links"]["attempts"]},
    }
    instance.work()
    first, second = instance.receivers.posted
    assert (second.event, second.url) == (first.event, other)
    assert RequestValidator(instance.token).validate(other, second.event.payload, instance.receivers.signatures[1])
    recorded = [(each["replay_sid"], each["url"], each["number"]) for each in attempts(instance, event)]
    assert recorded == [(None, URL, 1), (answered.body["sid"], other, 1)]


def test_replay_with_target_is_sent_to_that_target_only(instance: Instance) -> None:
    configure(instance, STATE)
    make(instance)
    path = f"{PATH}/{state_event(instance)['id']}/Replay"
    assert instance.call("POST", path, {"Target": "account"}).body["targets"] == ["account"]
    assert instance.call("POST", path, {"Target": "error-log"}).body["targets"] == []
    instance.work()
    assert len(instance.receivers.posted) == 2


def test_replay_of_event_without_webhooks_has_no_targets(instance: Instance) -> None:
    configure(instance, STATE, "onConversationAdded")
    make(instance)
    added = page(instance, PATH)["events"][-1]
    assert (added["event_type"], added["webhooks"]) == ("onConversationAdded", False)
    assert instance.call("POST", f"{PATH}/{added['id']}/Replay").body["targets"] == []


def test_events_and_attempts_expire_after_thirty_days(clock: ManualClock) -> None:
    with held_instance(now=clock.now) as instance:
        configure(instance, STATE)
        make(instance)
        event = state_event(instance)
        assert len(instance.items("attempt#")) == 1
        instance.engine.table.remove_expired(clock.now() + LEDGER_LIFETIME - timedelta(seconds=2))
        assert page(instance, event["url"]) == event
        instance.engine.table.remove_expired(clock.now() + LEDGER_LIFETIME + timedelta(seconds=2))
        assert instance.changes() == instance.items("attempt#") == []
        assert page(instance, PATH)["events"] == []
        assert instance.call("GET", event["url"].removeprefix(ORIGIN)).status == 404


@pytest.mark.each_engine
def test_events_attempts_and_alerts_carry_an_expiry_time(instance: Instance) -> None:
    configure(instance, STATE)
    instance.receivers.statuses = [404]
    make(instance)
    kept = [*instance.items("change"), *instance.items("attempt#"), *instance.items("alert")]
    assert len(kept) == 4 + 1 + 1
    left = [int(item["expires_at"]) - datetime.now().astimezone().timestamp() for item in kept]
    assert all(abs(seconds - LEDGER_LIFETIME.total_seconds()) < 60 for seconds in left)
