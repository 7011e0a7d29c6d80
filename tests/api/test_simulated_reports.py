"""Clients can report delivery statuses on behalf of simulated phones.

See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

import pytest

from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Answer, EmbeddedInstance, Instance
from tests.support.phones import PHONE, conversation_with

STATUS = "/convoke/v1/Simulate/DeliveryStatus"


def sent_copy(instance: Instance) -> dict[str, str]:
    """Send a copy to a simulated phone that does not report the delivery.

    Return the parameters with which a test reports the copy's status.
    """
    plan = {"ReportsDelivery": "false"}
    assert instance.call("POST", f"/convoke/v1/Simulate/Phones/{PHONE}", plan).body["reports_delivery"] is False
    conversation_with(instance, CHAT_AND_SMS[0]).messages.create(body="Hello")
    instance.work()
    (receipt,) = instance.items("receipt#")
    names = {"ConversationSid": "conversation_sid", "MessageSid": "message_sid", "ReceiptSid": "sid"}
    return {parameter: receipt[name] for parameter, name in names.items()}


def report(instance: Instance, sids: dict[str, str], status: str, **more: str) -> Answer:
    return instance.call("POST", STATUS, {**sids, "Status": status, **more})


def test_reported_status_changes_receipt_message_and_events(instance: EmbeddedInstance) -> None:
    sids = sent_copy(instance)
    assert report(instance, sids, "Read").body["status"] == "read"
    assert report(instance, sids, "delivered").body["status"] == "read"
    path = f"/v1/Conversations/{sids['ConversationSid']}/Messages/{sids['MessageSid']}"
    assert instance.call("GET", path).body["delivery"]["read"] == "all"
    events = instance.call("GET", "/convoke/v1/Events").body["events"]
    assert [e["payload"]["Status"] for e in events if e["event_type"] == "onDeliveryUpdated"] == ["read", "sent"]


def test_plans_use_no_memory_for_phones_that_fail_no_copy(instance: EmbeddedInstance) -> None:
    plans = instance.engine.phone_plans
    sent_copy(instance)
    assert plans.failures == {}
    plans.plan(instance.account.sid, PHONE, failures=1, reports_delivery=True)
    assert [plans.fails(instance.account.sid, PHONE) for _ in range(2)] == [True, False]
    assert plans.failures == {}


def test_reported_failure_has_a_code_and_an_alert(instance: EmbeddedInstance) -> None:
    answered = report(instance, sent_copy(instance), "undelivered", ErrorCode="30005").body
    assert (answered["status"], answered["error_code"]) == ("undelivered", 30005)
    (alert,) = instance.call("GET", "/v1/Alerts").body["alerts"]
    assert alert["error_code"] == "30005"


def test_failure_without_a_code_is_30008(instance: EmbeddedInstance) -> None:
    assert report(instance, sent_copy(instance), "failed").body["error_code"] == 30008


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Status": "sent"}, (400, 20001)),
        ({"Status": ""}, (400, 20001)),
        ({"ErrorCode": "50407"}, (400, 20001)),
        ({"ReceiptSid": "DY"}, (400, 20423)),
        ({"ReceiptSid": "DY" + "0" * 32}, (404, 20404)),
    ],
)
def test_bad_report_is_refused(instance: EmbeddedInstance, change: dict[str, str], expected: tuple[int, int]) -> None:
    answered = instance.call("POST", STATUS, {**sent_copy(instance), "Status": "read", **change})
    assert (answered.status, answered.body["code"]) == expected
    assert instance.items("receipt#")[0]["status"] == "sent"


def test_copy_that_no_simulated_phone_has_received_has_no_report(instance: EmbeddedInstance) -> None:
    message = conversation_with(instance, CHAT_AND_SMS[0]).messages.create(body="Hello")
    (receipt,) = instance.items("receipt#")
    sids = {"ConversationSid": message.conversation_sid, "MessageSid": message.sid, "ReceiptSid": receipt["sid"]}
    assert report(instance, sids, "read").status == 400


def test_planned_failures_delay_a_copy(instance: EmbeddedInstance) -> None:
    plan = instance.call("POST", f"/convoke/v1/Simulate/Phones/{PHONE}", {"FailNext": "1"}).body
    assert (plan["fail_next"], plan["reports_delivery"], plan["number"]) == (1, True, PHONE)
    conversation_with(instance, CHAT_AND_SMS[0]).messages.create(body="Hello")
    instance.work()
    assert instance.items("receipt#")[0]["status"] == "queued"
    bad = instance.call("POST", f"/convoke/v1/Simulate/Phones/{PHONE}", {"FailNext": "many"})
    assert (bad.status, bad.body["code"]) == (400, 20001)
