"""Test a project that uses Convoke. The tests use the fixture `convoke`, and import nothing from Convoke."""

from __future__ import annotations

from datetime import timedelta

from twilio.request_validator import RequestValidator
from visits import open_visit, send_reminder

PATIENT, NURSE = "+15558675310", "alice"


def state(convoke, sid):
    return convoke.client().conversations.v1.conversations(sid).fetch().state


def test_visit_has_both_participants_and_sends_a_webhook(convoke):
    sid = open_visit(convoke.client(), PATIENT, NURSE)
    webhook = convoke.wait_for_webhook("onConversationStateUpdated", StateTo="active")
    assert webhook.parameters["ConversationSid"] == sid
    assert len(convoke.client().conversations.v1.conversations("visit").participants.list()) == 2


def test_webhooks_are_signed(convoke):
    open_visit(convoke.client(), PATIENT, NURSE)
    convoke.settle()
    (webhook,) = convoke.received_webhooks
    assert webhook.event_type == "onConversationStateUpdated"
    url = convoke.client().conversations.v1.configuration.webhooks().fetch().post_webhook_url
    signature = webhook.headers["X-Twilio-Signature"]
    assert RequestValidator(convoke.auth_token).validate(url, webhook.parameters, signature)


def test_reminder_activates_an_inactive_visit(convoke):
    client = convoke.client()
    sid = open_visit(client, PATIENT, NURSE)
    convoke.settle()
    convoke.advance("PT30M")
    assert state(convoke, sid) == "inactive"
    send_reminder(client, sid)
    assert state(convoke, sid) == "active"
    convoke.advance(timedelta(minutes=29))
    assert state(convoke, sid) == "active"
    convoke.advance("P1D")
    assert state(convoke, sid) == "closed"
    changes = [
        (webhook.parameters["StateTo"], webhook.parameters["Reason"])
        for webhook in convoke.received_webhooks
        if webhook.event_type == "onConversationStateUpdated"
    ]
    assert sorted(changes) == sorted(
        [
            ("active", "EVENT"),
            ("inactive", "TIMER"),
            ("active", "EVENT"),
            ("inactive", "TIMER"),
            ("closed", "TIMER"),
        ]
    )
    assert convoke.wait_for_webhook("onMessageAdded").parameters["Body"] == "See you soon"


def test_visit_can_be_opened_again_after_its_nurse_could_not_be_added(convoke):
    convoke.fail_participant(1, 50107)
    client = convoke.client()
    failed = open_visit(client, PATIENT, NURSE)
    convoke.wait_for_webhook("onConversationStateUpdated", ConversationSid=failed, StateTo="closed")
    again = open_visit(client, PATIENT, NURSE)
    convoke.settle()
    assert (state(convoke, failed), state(convoke, again)) == ("closed", "active")


def test_each_test_starts_without_data(convoke):
    assert convoke.client().conversations.v1.conversations.list() == []
    assert convoke.received_webhooks == []


def test_reset_deletes_all_data_during_a_test(convoke):
    client = convoke.client()
    open_visit(client, PATIENT, NURSE)
    convoke.reset()
    assert client.conversations.v1.conversations.list() == []
    open_visit(client, PATIENT, NURSE)
    convoke.settle()
    assert len(convoke.received_webhooks) == 1
