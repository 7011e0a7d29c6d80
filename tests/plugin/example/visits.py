"""Open conversations for visits, and send reminders."""

from __future__ import annotations

import json

from twilio.rest import Client


def open_visit(client: Client, patient: str, nurse: str, *, name: str = "visit") -> str:
    """Create a conversation and return its SID.

    The conversation becomes inactive after half an hour, and closes after a day.
    """
    participants = [
        {"messaging_binding": {"address": patient, "proxy_address": "+15017122661"}},
        {"identity": nurse},
    ]
    conversation = client.conversations.v1.conversation_with_participants.create(
        unique_name=name,
        timers_inactive="PT30M",
        timers_closed="P1D",
        participant=[json.dumps(participant) for participant in participants],
    )
    return str(conversation.sid)


def send_reminder(client: Client, sid: str) -> None:
    client.conversations.v1.conversations(sid).messages.create(body="See you soon", x_twilio_webhook_enabled="true")
