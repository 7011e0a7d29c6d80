"""A day at a business number: phones and a chat user talk, and the process is killed in between."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from twilio.rest import Client

from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE
from tests.support.processes import TIMEOUT_SECONDS, Up, receiver, up

UNKNOWN_PHONE = "+15558675319"


class Phones:
    """Simulated phones of a running instance."""

    def __init__(self, running: Up) -> None:
        self.url, self.client = running.ready["url"], running.client

    def send(self, sender: str, body: str, message_sid: str = "") -> dict[str, Any]:
        form = {"From": sender, "To": BUSINESS, "Body": body, **({"MessageSid": message_sid} if message_sid else {})}
        url = f"{self.url}/convoke/v1/Simulate/InboundMessages"
        answered = self.client.request("POST", url, data=form, auth=self.client.auth)
        sent: dict[str, Any] = json.loads(answered.text)
        assert answered.status_code == 201, sent
        return sent


def spoken(client: Client, conversation_sid: str) -> list[tuple[str, str]]:
    messages = client.conversations.v1.conversations(conversation_sid).messages.list()
    return [(message.author, message.body) for message in messages]


def test_story_of_phones_and_a_chat_user_at_one_number(tmp_path: Path) -> None:
    data = str(tmp_path / "convoke.db")
    with receiver() as (url, received):
        with up("--data", data) as running:
            v1, phones = running.client.conversations.v1, Phones(running)
            members = (
                {"address": PHONE, "proxy_address": BUSINESS},
                {"address": OTHER_PHONE, "proxy_address": BUSINESS},
            )
            participants = [json.dumps({"messaging_binding": each}) for each in members]
            talk = v1.conversation_with_participants.create(participant=[*participants, '{"identity": "alice"}']).sid
            v1.address_configurations.create(
                type="sms",
                address=BUSINESS,
                auto_creation_enabled=True,
                auto_creation_type="webhook",
                auto_creation_webhook_url=url,
                auto_creation_webhook_filters=["onMessageAdded"],
            )
            assert phones.send(PHONE, "Where are you?")["conversation_sid"] == talk
            v1.conversations(talk).messages.create(author="alice", body="At the door")
            # An unknown phone writes. The webhook of the new conversation gets its first message, and answers.
            asked = phones.send(UNKNOWN_PHONE, "Are you open?", "SM" + "1" * 32)
            parameters, _ = received.get(timeout=TIMEOUT_SECONDS)
            assert (parameters["ConversationSid"], parameters["Body"]) == (asked["conversation_sid"], "Are you open?")
            v1.conversations(parameters["ConversationSid"]).messages.create(author="bot", body="Until 6")
            assert running.stop(signal.SIGKILL) == -signal.SIGKILL

        with up("--data", data) as again:
            phones = Phones(again)
            # The carrier has got no answer and delivers the message again.
            repeated = phones.send(UNKNOWN_PHONE, "Are you open?", "SM" + "1" * 32)
            assert repeated == {**asked, "outcome": "repeated"}
            assert phones.send(OTHER_PHONE, "Coming")["conversation_sid"] == talk
            assert spoken(again.client, talk) == [
                (PHONE, "Where are you?"),
                ("alice", "At the door"),
                (OTHER_PHONE, "Coming"),
            ]
            assert spoken(again.client, asked["conversation_sid"]) == [
                (UNKNOWN_PHONE, "Are you open?"),
                ("bot", "Until 6"),
            ]
            assert len(again.client.conversations.v1.conversations.list()) == 2
