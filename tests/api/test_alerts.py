"""The error log, read by the SDK's Monitor, and where it is posted to (reference, d.5 and h 13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from convoke.domain.connections import DEFAULT_RETRIES
from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.webhooks.answers import WebhookLateError, WebhookUnreachableError
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, Instance, held_instance

URL = "https://hooks.example.com/x"
ERRORS = "https://errors.example.com/log"
STATE = "onConversationStateUpdated"


def refuse(provisioning: Provisioning, participant: Participant) -> None:
    if participant.identity:
        raise InvalidRoleSidError


@pytest.fixture
def refusing() -> Iterator[Instance]:
    """Admits nobody with an identity."""
    with held_instance(admit=refuse) as made:
        yield made


def alerts(instance: Instance, **filters: Any) -> list[Any]:
    return list(monitor(instance).alerts.list(**filters))


def monitor(instance: Instance) -> Any:
    client = instance.client()
    client.monitor.base_url = ORIGIN
    return client.monitor.v1


def configure(instance: Instance, *filters: str) -> None:
    instance.client().conversations.v1.configuration.webhooks().update(post_webhook_url=URL, filters=list(filters))


def log_to(instance: Instance, url: str) -> Any:
    return instance.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": url})


def give_up(instance: Instance, *statuses: int | WebhookUnreachableError | None) -> str:
    """A conversation whose one event gets these answers, as often as it is tried."""
    configure(instance, STATE)
    instance.receivers.statuses = [*statuses]
    sid: str = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
    for _ in range(DEFAULT_RETRIES + 2):
        instance.work()
        instance.forget_pauses()
    return sid


def test_a_conversation_that_failed_is_in_the_log_and_says_so_itself(refusing: Instance) -> None:
    configure(refusing, STATE)
    v1 = refusing.client().conversations.v1
    sid = v1.conversation_with_participants.create(friendly_name="Visit", participant=CHAT_AND_SMS).sid
    refusing.work()
    (alert,) = alerts(refusing)
    provisioning = refusing.call("GET", f"/convoke/v1/Conversations/{sid}/Provisioning").body
    assert alert.sid == provisioning["alert_sid"]
    assert (alert.error_code, alert.log_level, alert.resource_sid) == ("50427", "error", sid)
    assert (alert.account_sid, alert.service_sid) == (
        refusing.account.sid,
        refusing.account.default_chat_service_sid,
    )
    assert f"Participant[1] ({provisioning['participants'][1]['sid']}): 50109" in alert.alert_text
    assert "50427" in alert.alert_text
    assert not [said for said in ("alice", "+1555", "Visit") if said in alert.alert_text]
    assert alert.more_info == "https://www.twilio.com/docs/errors/50427"
    assert alert.date_created == alert.date_generated == alert.date_updated
    assert alert.date_created.tzinfo is not None
    assert alert.request_url is alert.request_method is alert.response_body is alert.request_variables is None
    (told,) = refusing.receivers.posted
    assert told.event.payload["ErrorCode"] == "50427"
    assert told.event.payload["AlertSid"] == alert.sid
    assert told.event.payload["ErrorMessage"] in alert.alert_text


def test_an_alert_is_fetched_as_it_is_listed(instance: Instance) -> None:
    give_up(instance, 403)
    (alert,) = alerts(instance)
    fetched = instance.call("GET", f"/v1/Alerts/{alert.sid}").body
    assert fetched["url"] == alert.url == f"{ORIGIN}/v1/Alerts/{alert.sid}"
    assert instance.call("GET", "/v1/Alerts").body["alerts"] == [fetched]
    assert monitor(instance).alerts(alert.sid).fetch().alert_text == alert.alert_text


@pytest.mark.parametrize("status", [403, 302])
def test_a_webhook_that_refuses_is_in_the_log(instance: Instance, status: int) -> None:
    instance.receivers.body = b"go away"
    sid = give_up(instance, status)
    (alert,) = alerts(instance)
    assert (alert.error_code, alert.resource_sid) == ("50057", sid)
    assert (alert.request_method, alert.request_url, alert.response_body) == ("POST", URL, "go away")
    assert str(status) in alert.alert_text


def test_a_webhook_is_in_the_log_only_when_it_is_given_up(instance: Instance) -> None:
    give_up(instance, 500, None, 429, 200)
    assert alerts(instance) == []
    give_up(instance, 500, None, 429, 503)
    (alert,) = alerts(instance)
    assert alert.error_code == "50057"


@pytest.mark.parametrize(
    ("error", "code"),
    [(WebhookLateError("no answer within 5 s"), "50076"), (WebhookUnreachableError("no connection"), "50057")],
)
def test_the_code_says_why_no_answer_came(instance: Instance, error: WebhookUnreachableError, code: str) -> None:
    give_up(instance, *[error] * (DEFAULT_RETRIES + 1))
    (alert,) = alerts(instance)
    assert (alert.error_code, alert.response_body) == (code, None)
    assert str(error) in alert.alert_text


def test_the_newest_is_the_first_and_pages_lead_on(instance: Instance) -> None:
    sids = [give_up(instance, 403) for _ in range(3)]
    assert [alert.resource_sid for alert in alerts(instance, page_size=1)] == sids[::-1]
    assert [alert.resource_sid for alert in alerts(instance, limit=2)] == [sids[2], sids[1]]


def test_alerts_are_listed_by_level_and_date(instance: Instance) -> None:
    give_up(instance, 403)
    now = datetime.now(UTC)
    for level, found in (("error", 1), ("Error", 1), ("warning", 0), ("debug", 0)):
        assert len(alerts(instance, log_level=level)) == found
    assert len(alerts(instance, start_date=now - timedelta(hours=1), end_date=now + timedelta(hours=1))) == 1
    assert alerts(instance, start_date=now + timedelta(hours=1)) == []
    assert alerts(instance, end_date=now - timedelta(hours=1)) == []
    refused = instance.call("GET", "/v1/Alerts?LogLevel=loud")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "LogLevel")


def test_an_alert_of_nobody_is_not_found(instance: Instance) -> None:
    for sid in ("NO" + "0" * 32, "NO", instance.account.sid):
        assert instance.call("GET", f"/v1/Alerts/{sid}").body["code"] == 20404


def test_a_failed_conversation_is_posted_to_the_error_log_url(refusing: Instance) -> None:
    log_to(refusing, ERRORS)
    sid = refusing.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
    refusing.work()
    (alert,) = alerts(refusing)
    (told,) = refusing.receivers.posted
    payload = told.event.payload
    assert (told.url, told.target, told.method) == (ERRORS, "error-log", "POST")
    assert {**payload, "Payload": None, "Timestamp": None} == {
        "AccountSid": refusing.account.sid,
        "Sid": alert.sid,
        "ParentAccountSid": "",
        "Timestamp": None,
        "Level": "ERROR",
        "PayloadType": "application/json",
        "Payload": None,
    }
    details = json.loads(payload["Payload"])
    assert (details["resource_sid"], details["error_code"], details["webhook"]) == (sid, "50427", None)
    assert [cause["code"] for cause in details["more_info"]["causes"]] == [50109]
    assert RequestValidator(refusing.token).validate(ERRORS, payload, refusing.receivers.signatures[0])


def test_a_webhook_that_was_given_up_is_posted_to_the_error_log_url(instance: Instance) -> None:
    log_to(instance, ERRORS)
    instance.receivers.body = b"no"
    give_up(instance, 403)
    _, told = instance.receivers.posted
    details = json.loads(told.event.payload["Payload"])
    assert details["error_code"] == "50057"
    assert details["webhook"] == {
        "request": {"method": "POST", "url": URL},
        "response": {"status_code": 403, "body": "no"},
    }


def test_what_the_error_log_url_does_not_take_is_tried_again_and_makes_no_alert(instance: Instance) -> None:
    log_to(instance, ERRORS)
    give_up(instance, 403, *[500] * 10)
    assert [delivery.url for delivery in instance.receivers.posted] == [URL, *[ERRORS] * (DEFAULT_RETRIES + 1)]
    assert len(alerts(instance)) == 1
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 2)


def test_every_alert_is_an_event_on_the_ledger_that_can_be_told_again(instance: Instance) -> None:
    give_up(instance, 403)
    (logged, *_) = instance.call("GET", "/convoke/v1/Events").body["events"]
    (alert,) = alerts(instance)
    assert (logged["event_type"], logged["payload"]["Sid"]) == ("com.twilio.error-logs.error.logged", alert.sid)
    assert len(instance.receivers.posted) == 1
    log_to(instance, ERRORS)
    replayed = instance.call("POST", f"/convoke/v1/Events/{logged['id']}/Replay").body
    assert replayed["targets"] == ["error-log"]
    instance.work()
    assert instance.receivers.posted[-1].url == ERRORS


def test_a_message_that_comes_twice_makes_one_alert(instance: Instance) -> None:
    """The message of a delivery that is over comes once more, and once more as that of a replay."""
    give_up(instance, 403)
    (delivery,) = instance.receivers.posted
    stored = instance.items("alert")
    delivery_queue(instance).send([delivery])
    instance.receivers.statuses, instance.receivers.body = [403], b"again"
    instance.work()
    assert len(instance.receivers.posted) == 2
    assert instance.items("alert") == stored
    assert len(alerts(instance)) == 1
    delivery_queue(instance).send([delivery.model_copy(update={"replay_sid": "RP" + "0" * 32})])
    instance.receivers.statuses = [403]
    instance.work()
    assert len(alerts(instance)) == 2


def delivery_queue(instance: Any) -> Any:
    return (instance.engine.edges if hasattr(instance, "engine") else instance.edges("api")).delivery_queue


def test_the_error_log_url_is_shown_and_removed(instance: Instance) -> None:
    assert log_to(instance, ERRORS).body["error_log_url"] == ERRORS
    assert instance.call("GET", "/convoke/v1/Configuration").body["error_log_url"] == ERRORS
    assert instance.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": ""}).body["error_log_url"] == ERRORS
    assert log_to(instance, "").body["error_log_url"] is None
    assert instance.call("GET", "/convoke/v1/Configuration").body["error_log_url"] is None
    refused = log_to(instance, "errors.example.com")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 50054, "ErrorLogUrl")


def test_no_webhook_can_ask_for_the_events_of_the_error_log(instance: Instance) -> None:
    refused = instance.call("POST", "/v1/Configuration/Webhooks", {"Filters": "com.twilio.error-logs.error.logged"})
    assert (refused.status, refused.body["code"]) == (400, 50054)
