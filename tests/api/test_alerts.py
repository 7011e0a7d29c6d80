"""Convoke records failures as alerts, and sends the alerts to the error log webhook. See docs/behaviour/alerts.md."""

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
    """Run Convoke so that it cannot add a participant with an identity: the check `refuse` rejects the participant."""
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
    """Create a conversation and deliver its event until a delivery succeeds or Convoke gives up.

    The receiver answers the attempts with `statuses`, in this order. Return the conversation SID.
    """
    configure(instance, STATE)
    instance.receivers.statuses = [*statuses]
    sid: str = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
    for _ in range(DEFAULT_RETRIES + 2):
        instance.work()
        instance.forget_pauses()
    return sid


def test_failed_conversation_creates_alert_50427(refusing: Instance) -> None:
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
    assert not [text for text in ("alice", "+1555", "Visit") if text in alert.alert_text]
    assert alert.more_info == "https://www.twilio.com/docs/errors/50427"
    assert alert.date_created == alert.date_generated == alert.date_updated
    assert alert.date_created.tzinfo is not None
    assert alert.request_url is alert.request_method is alert.response_body is alert.request_variables is None
    (delivery,) = refusing.receivers.posted
    assert delivery.event.payload["ErrorCode"] == "50427"
    assert delivery.event.payload["AlertSid"] == alert.sid
    assert delivery.event.payload["ErrorMessage"] in alert.alert_text


def test_fetched_alert_equals_listed_alert(instance: Instance) -> None:
    give_up(instance, 403)
    (alert,) = alerts(instance)
    fetched = instance.call("GET", f"/v1/Alerts/{alert.sid}").body
    assert fetched["url"] == alert.url == f"{ORIGIN}/v1/Alerts/{alert.sid}"
    assert instance.call("GET", "/v1/Alerts").body["alerts"] == [fetched]
    assert monitor(instance).alerts(alert.sid).fetch().alert_text == alert.alert_text


@pytest.mark.each_engine
@pytest.mark.parametrize("status", [403, 302])
def test_webhook_answer_that_is_not_retried_creates_alert(instance: Instance, status: int) -> None:
    instance.receivers.body = b"go away"
    sid = give_up(instance, status)
    (alert,) = alerts(instance)
    assert (alert.error_code, alert.resource_sid) == ("50057", sid)
    assert (alert.request_method, alert.request_url, alert.response_body) == ("POST", URL, "go away")
    assert str(status) in alert.alert_text


@pytest.mark.each_engine
def test_webhook_retries_create_alert_only_when_given_up(instance: Instance) -> None:
    give_up(instance, 500, None, 429, 200)
    assert alerts(instance) == []
    give_up(instance, 500, None, 429, 503)
    (alert,) = alerts(instance)
    assert alert.error_code == "50057"


@pytest.mark.parametrize(
    ("error", "code"),
    [(WebhookLateError("no answer within 5 s"), "50076"), (WebhookUnreachableError("no connection"), "50057")],
)
def test_alert_code_tells_timeout_from_connection_error(
    instance: Instance, error: WebhookUnreachableError, code: str
) -> None:
    give_up(instance, *[error] * (DEFAULT_RETRIES + 1))
    (alert,) = alerts(instance)
    assert (alert.error_code, alert.response_body) == (code, None)
    assert str(error) in alert.alert_text


@pytest.mark.each_engine
def test_alerts_are_listed_newest_first_over_pages(instance: Instance) -> None:
    sids = [give_up(instance, 403) for _ in range(3)]
    assert [alert.resource_sid for alert in alerts(instance, page_size=1)] == sids[::-1]
    assert [alert.resource_sid for alert in alerts(instance, limit=2)] == [sids[2], sids[1]]


@pytest.mark.each_engine
def test_alerts_are_filtered_by_level_and_date(instance: Instance) -> None:
    give_up(instance, 403)
    now = datetime.now(UTC)
    for level, found in (("error", 1), ("Error", 1), ("warning", 0), ("debug", 0)):
        assert len(alerts(instance, log_level=level)) == found
    assert len(alerts(instance, start_date=now - timedelta(hours=1), end_date=now + timedelta(hours=1))) == 1
    assert alerts(instance, start_date=now + timedelta(hours=1)) == []
    assert alerts(instance, end_date=now - timedelta(hours=1)) == []
    refused = instance.call("GET", "/v1/Alerts?LogLevel=loud")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "LogLevel")


def test_unknown_alert_sid_is_not_found(instance: Instance) -> None:
    for sid in ("NO" + "0" * 32, "NO", instance.account.sid):
        assert instance.call("GET", f"/v1/Alerts/{sid}").body["code"] == 20404


def test_failed_conversation_is_posted_to_error_log_url(refusing: Instance) -> None:
    log_to(refusing, ERRORS)
    sid = refusing.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
    refusing.work()
    (alert,) = alerts(refusing)
    (delivery,) = refusing.receivers.posted
    payload = delivery.event.payload
    assert (delivery.url, delivery.target, delivery.method) == (ERRORS, "error-log", "POST")
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


@pytest.mark.each_engine
def test_failed_webhook_delivery_is_posted_to_error_log_url(instance: Instance) -> None:
    log_to(instance, ERRORS)
    instance.receivers.body = b"no"
    give_up(instance, 403)
    _, delivery = instance.receivers.posted
    details = json.loads(delivery.event.payload["Payload"])
    assert details["error_code"] == "50057"
    assert details["webhook"] == {
        "request": {"method": "POST", "url": URL},
        "response": {"status_code": 403, "body": "no"},
    }


@pytest.mark.each_engine
def test_failed_error_log_delivery_is_retried_without_creating_alert(instance: Instance) -> None:
    log_to(instance, ERRORS)
    give_up(instance, 403, *[500] * 10)
    assert [delivery.url for delivery in instance.receivers.posted] == [URL, *[ERRORS] * (DEFAULT_RETRIES + 1)]
    assert len(alerts(instance)) == 1
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 2)


@pytest.mark.each_engine
def test_alert_is_recorded_as_event_and_can_be_replayed(instance: Instance) -> None:
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


@pytest.mark.each_engine
def test_repeated_delivery_message_creates_one_alert(instance: Instance) -> None:
    """A repeated message of a failed delivery creates no further alert. A failed replay creates a second alert."""
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


@pytest.mark.each_engine
def test_error_log_url_is_shown_and_can_be_removed(instance: Instance) -> None:
    assert log_to(instance, ERRORS).body["error_log_url"] == ERRORS
    assert instance.call("GET", "/convoke/v1/Configuration").body["error_log_url"] == ERRORS
    assert instance.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": ""}).body["error_log_url"] == ERRORS
    assert log_to(instance, "").body["error_log_url"] is None
    assert instance.call("GET", "/convoke/v1/Configuration").body["error_log_url"] is None
    refused = log_to(instance, "errors.example.com")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 50054, "ErrorLogUrl")


def test_error_log_event_type_is_refused_as_webhook_filter(instance: Instance) -> None:
    refused = instance.call("POST", "/v1/Configuration/Webhooks", {"Filters": "com.twilio.error-logs.error.logged"})
    assert (refused.status, refused.body["code"]) == (400, 50054)


def details(instance: Instance, sid: str) -> Any:
    return instance.call("GET", f"/convoke/v1/Alerts/{sid}").body


@pytest.mark.each_engine
def test_details_of_an_alert_about_a_webhook_name_the_event_and_the_target(instance: Instance) -> None:
    sid = give_up(instance, 404)
    (alert,) = alerts(instance)
    found = details(instance, alert.sid)
    assert (found["code"], found["conversation_sid"], found["target"], found["response_status"]) == (
        50057,
        sid,
        "account",
        404,
    )
    assert found["causes"] == []
    replayed = instance.call("POST", found["links"]["replay"].removeprefix(ORIGIN), {"Target": found["target"]}).body
    assert (replayed["event_id"], replayed["targets"]) == (found["event_id"], ["account"])


def test_details_of_an_alert_about_a_user_name_the_event_but_no_conversation(instance: Instance) -> None:
    configure(instance, "onUserAdded")
    instance.receivers.statuses = [404]
    instance.client().conversations.v1.users.create(identity="alice", x_twilio_webhook_enabled="true")
    instance.work()
    (alert,) = alerts(instance)
    found = details(instance, alert.sid)
    assert (found["conversation_sid"], found["target"], set(found["links"])) == (
        None,
        "account",
        {"alert", "event", "replay"},
    )


def test_details_of_an_alert_about_participants_name_each_cause(refusing: Instance) -> None:
    v1 = refusing.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    refusing.work()
    (alert,) = alerts(refusing)
    found = details(refusing, alert.sid)
    provisioning = refusing.call("GET", f"/convoke/v1/Conversations/{sid}/Provisioning").body
    failed = [each for each in provisioning["participants"] if each["code"]]
    assert [(each["participant_sid"], each["code"], each["message"]) for each in found["causes"]] == [
        (each["sid"], each["code"], each["message"]) for each in failed
    ]
    assert (found["event_id"], found["target"], set(found["links"])) == (None, None, {"alert"})
