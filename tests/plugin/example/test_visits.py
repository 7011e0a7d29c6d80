"""What somebody tests who uses Convoke in their own project: nothing is imported of it but the fixture."""

from __future__ import annotations

from datetime import timedelta

from twilio.request_validator import RequestValidator
from visits import open_visit, send_reminder

PATIENT, NURSE = "+15558675310", "alice"


def state(convoke, sid):
    return convoke.client().conversations.v1.conversations(sid).fetch().state


def test_everybody_is_called_together_and_we_are_told(convoke):
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


def test_a_reminder_wakes_a_visit_that_fell_asleep(convoke):
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
    told = [
        (webhook.parameters["StateTo"], webhook.parameters["Reason"])
        for webhook in convoke.received_webhooks
        if webhook.event_type == "onConversationStateUpdated"
    ]
    assert sorted(told) == sorted(
        [
            ("active", "EVENT"),
            ("inactive", "TIMER"),
            ("active", "EVENT"),
            ("inactive", "TIMER"),
            ("closed", "TIMER"),
        ]
    )
    assert convoke.wait_for_webhook("onMessageAdded").parameters["Body"] == "See you soon"


def test_a_visit_whose_nurse_cannot_be_added_can_be_made_again(convoke):
    convoke.fail_participant(1, 50107)
    client = convoke.client()
    failed = open_visit(client, PATIENT, NURSE)
    convoke.wait_for_webhook("onConversationStateUpdated", ConversationSid=failed, StateTo="closed")
    again = open_visit(client, PATIENT, NURSE)
    convoke.settle()
    assert (state(convoke, failed), state(convoke, again)) == ("closed", "active")


def test_each_test_begins_with_nothing(convoke):
    assert convoke.client().conversations.v1.conversations.list() == []
    assert convoke.received_webhooks == []


def test_one_may_begin_again_with_nothing_in_the_midst_of_a_test(convoke):
    client = convoke.client()
    open_visit(client, PATIENT, NURSE)
    convoke.reset()
    assert client.conversations.v1.conversations.list() == []
    open_visit(client, PATIENT, NURSE)
    convoke.settle()
    assert len(convoke.received_webhooks) == 1
