"""Phones and a chat user talk through one business number, although a SIGKILL ends the process once."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twilio.rest import Client

from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE
from tests.support.processes import TIMEOUT_SECONDS, Up, receiver, up

UNKNOWN_PHONE = "+15558675319"


class Phones:
    """The simulated phones of a running instance."""

    def __init__(self, running: Up) -> None:
        self.url, self.client = f"{running.ready['url']}/convoke/v1/Simulate", running.client

    def send(self, sender: str, body: str, message_sid: str = "") -> dict[str, Any]:
        form = {"From": sender, "To": BUSINESS, "Body": body, **({"MessageSid": message_sid} if message_sid else {})}
        answered = self.client.request("POST", f"{self.url}/InboundMessages", data=form, auth=self.client.auth)
        sent: dict[str, Any] = json.loads(answered.text)
        assert answered.status_code == 201, sent
        return sent

    def inbox(self, number: str) -> list[str]:
        """Return the texts that a phone has received. The oldest text comes first."""
        url = f"{self.url}/Phones/{quote(number, safe='')}/Messages"
        answered = self.client.request("GET", url, auth=self.client.auth)
        return [message["body"] for message in json.loads(answered.text)["messages"]]

    def wait_for(self, number: str, body: str) -> None:
        """Wait until a phone has received a text."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while body not in self.inbox(number):
            assert time.monotonic() < until, body
            time.sleep(0.01)


def spoken(client: Client, conversation_sid: str) -> list[tuple[str, str]]:
    messages = client.conversations.v1.conversations(conversation_sid).messages.list()
    return [(message.author, message.body) for message in messages]


def say(client: Client, conversation_sid: str, author: str, body: str) -> Counter[tuple[str, int]]:
    """Send a message, and wait until every copy is delivered or failed. Count the copies by status and error code."""
    messages = client.conversations.v1.conversations(conversation_sid).messages
    receipts = messages(messages.create(author=author, body=body).sid).delivery_receipts
    until = time.monotonic() + TIMEOUT_SECONDS
    while True:
        statuses = Counter((each.status, each.error_code) for each in receipts.list())
        if {status for status, _ in statuses} <= {"delivered", "failed"}:
            return statuses
        assert time.monotonic() < until, statuses
        time.sleep(0.01)


def test_story_of_phones_and_a_chat_user_at_one_number(tmp_path: Path) -> None:
    data = str(tmp_path / "convoke.db")
    with receiver() as (url, received):
        with up("--data", data) as running:
            v1, phones = running.client.conversations.v1, Phones(running)
            bindings = [{"address": phone, "proxy_address": BUSINESS} for phone in (PHONE, OTHER_PHONE)]
            participants = [json.dumps({"messaging_binding": each}) for each in bindings]
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
            assert say(running.client, talk, "alice", "At the door") == {("delivered", 0): 2}
            assert phones.inbox(PHONE) == ["At the door"]
            assert phones.inbox(OTHER_PHONE) == ["Where are you?", "At the door"]
            # An unknown phone writes. The webhook of the new conversation receives the message, and the bot answers.
            asked = phones.send(UNKNOWN_PHONE, "Are you open?", "SM" + "1" * 32)
            parameters, _ = received.get(timeout=TIMEOUT_SECONDS)
            assert (parameters["ConversationSid"], parameters["Body"]) == (asked["conversation_sid"], "Are you open?")
            assert say(running.client, parameters["ConversationSid"], "bot", "Until 6") == {("delivered", 0): 1}
            # Kill the process while the message sender may be sending a copy.
            v1.conversations(talk).messages.create(author="alice", body="Still there?")
            assert running.stop(signal.SIGKILL) == -signal.SIGKILL

        with up("--data", data) as again:
            phones = Phones(again)
            # A carrier that gets no response delivers the message again. The test does the same.
            repeated = phones.send(UNKNOWN_PHONE, "Are you open?", "SM" + "1" * 32)
            assert repeated == {**asked, "outcome": "repeated"}
            for number in (PHONE, OTHER_PHONE):
                phones.wait_for(number, "Still there?")
            assert phones.send(OTHER_PHONE, "STOP")["conversation_sid"] == talk
            assert say(again.client, talk, "alice", "Come in") == {("delivered", 0): 1, ("failed", 21610): 1}
            assert phones.inbox(PHONE) == ["At the door", "Still there?", "STOP", "Come in"]
            *got, answer = phones.inbox(OTHER_PHONE)
            assert got == ["Where are you?", "At the door", "Still there?"]
            assert "START" in answer
            assert spoken(again.client, talk) == [
                (PHONE, "Where are you?"),
                ("alice", "At the door"),
                ("alice", "Still there?"),
                (OTHER_PHONE, "STOP"),
                ("alice", "Come in"),
            ]
            assert spoken(again.client, asked["conversation_sid"]) == [
                (UNKNOWN_PHONE, "Are you open?"),
                ("bot", "Until 6"),
            ]
            assert len(again.client.conversations.v1.conversations.list()) == 2
