"""Create an example account for the tests of the console and for its screenshots."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from convoke.testing.instance import RunningInstance
from tests.browser.support import post

PROXY = "+15017122661"
PHONE = "+15558675310"

TALK = (
    ("alice", "Good morning! The viewing of 12 Elm Street is on Thursday at 10:00. Does that work for everybody?"),
    (PHONE, "Works for me. Is there parking nearby?"),
    ("bob", "Yes, in the yard behind the house. The gate code is 4711."),
    (PHONE, "Perfect, thank you."),
    ("alice", "I have sent you the floor plan by mail. See you on Thursday!"),
)


class Example(NamedTuple):
    service_sid: str
    viewing_sid: str
    """The SID of an active conversation with messages, timers, three chat users and one phone."""
    failed_sid: str
    """The SID of a conversation whose second member could not be added."""


def fill(instance: RunningInstance) -> Example:
    """Create conversations and messages, and cause two alerts: one about a member and one about a webhook."""
    v1 = instance.client().conversations.v1
    viewing = _group(v1, "Viewing of 12 Elm Street", "elm-street-12", phone=PHONE)
    instance.settle()
    v1.conversations(viewing).webhooks.create(
        target="webhook",
        # The API answers the webhook request with 401. Therefore Convoke gives up the delivery after one attempt.
        configuration_url=f"{instance.url}/crm",
        configuration_filters=["onParticipantAdded"],
    )
    for author, body in TALK:
        if author == PHONE:
            instance.phone(PHONE).send(body, PROXY)
        else:
            v1.conversations(viewing).messages.create(author=author, body=body, x_twilio_webhook_enabled="true")
    instance.settle()
    _report_read(instance, viewing)
    v1.conversations(viewing).participants.create(identity="carol", x_twilio_webhook_enabled="true")
    instance.fail_participant(1, 50407)
    failed = _group(v1, "Handover of keys, 3 Oak Lane", "oak-lane-3", phone="+15558675311")
    instance.settle()
    closed = _group(v1, "Repair of the boiler", "boiler-repair", phone="+15558675312")
    instance.settle()
    v1.conversations(closed).update(state="closed", x_twilio_webhook_enabled="true")
    asleep = _group(v1, "Questions about the lease", "lease-questions", phone="+15558675313")
    instance.settle()
    v1.conversations(asleep).update(state="inactive", x_twilio_webhook_enabled="true")
    for name in ("Move-in checklist", "Neighbours of 12 Elm Street", "Insurance claim 20431"):
        v1.conversations.create(friendly_name=name)
    instance.settle()
    service = v1.configuration().fetch().default_chat_service_sid
    return Example(service, viewing, failed)


def _report_read(instance: RunningInstance, conversation_sid: str) -> None:
    """Report that the phone has read the first message of a conversation."""
    messages = instance.client().conversations.v1.conversations(conversation_sid).messages
    (first,) = messages.list(limit=1)
    (receipt,) = messages(first.sid).delivery_receipts.list()
    sids = {"ConversationSid": conversation_sid, "MessageSid": first.sid, "ReceiptSid": receipt.sid}
    post(instance, "/convoke/v1/Simulate/DeliveryStatus", {**sids, "Status": "read"})


def _group(v1: Any, name: str, unique_name: str, phone: str) -> str:
    members = [
        {"identity": "alice"},
        {"identity": "bob"},
        {"messaging_binding": {"address": phone, "proxy_address": PROXY}},
    ]
    created = v1.conversation_with_participants.create(
        friendly_name=name,
        unique_name=unique_name,
        timers_inactive="PT2H",
        timers_closed="P3D",
        participant=[json.dumps(member) for member in members],
        x_twilio_webhook_enabled="true",
    )
    sid: str = created.sid
    return sid
