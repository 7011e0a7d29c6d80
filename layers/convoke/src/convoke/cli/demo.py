"""`convoke demo`: what the ConversationWithParticipants page promises, and the life of a conversation after it.

With the official SDK, watched to the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from convoke.testing.receiver import Receiver

Say = Callable[[str], None]

TIMEOUT_SECONDS = 10.0
"""Seconds to wait for what should take a few milliseconds."""

EXAMPLES = {
    "Chat and SMS": (
        {"messaging_binding": {"address": "+15558675310", "proxy_address": "+15017122661"}},
        {"identity": "alice"},
    ),
    "Group MMS": (
        {"messaging_binding": {"address": "+15558675311"}},
        {"messaging_binding": {"address": "+15558675312"}},
        {"messaging_binding": {"projected_address": "+15017122662"}},
    ),
}


@dataclass(slots=True)
class Timeline:
    """Says what happens, each line with the milliseconds since the request."""

    say: Say
    begun: float = field(default_factory=time.perf_counter)

    def note(self, what: str) -> None:
        self.say(f"  {(time.perf_counter() - self.begun) * 1000:8.1f} ms  {what}")


def run(say: Say) -> bool:
    """Whether everything happened that should."""
    with instance() as ready, Receiver().listening() as receiver:
        say(f"Convoke listens on {ready['url']}, a webhook receiver on {receiver.url}")
        client = Client(ready["account_sid"], ready["auth_token"])
        client.conversations.base_url = ready["url"]
        client.conversations.v1.configuration.webhooks().update(
            method="POST", post_webhook_url=receiver.url, filters=["onConversationStateUpdated"]
        )
        validator = RequestValidator(ready["auth_token"])
        return all(play(name, client, receiver, validator, say) for name in EXAMPLES) and live(client, say)


def play(name: str, client: Client, receiver: Receiver, validator: RequestValidator, say: Say) -> bool:
    """One example, to its end."""
    say(f"\n{name}")
    timeline = Timeline(say)
    timeline.note(f"POST /v1/ConversationWithParticipants with {len(EXAMPLES[name])} participants")
    participants = [json.dumps(participant) for participant in EXAMPLES[name]]
    created = client.conversations.v1.conversation_with_participants.create(
        friendly_name=name, participant=participants
    )
    timeline.note(f"answered: {created.sid} is {created.state}")
    conversation = client.conversations.v1.conversations(created.sid)
    state = wait_for_end(lambda: str(conversation.fetch().state))
    members = conversation.participants.list()
    for member in members:
        timeline.note(f"member {member.sid}: {member.identity or member.messaging_binding}")
    timeline.note(f"polled: the conversation is {state}")
    return (
        created.state == "initializing"
        and state == "active"
        and len(members) == len(participants)
        and told(created.sid, receiver, validator, timeline)
    )


def live(client: Client, say: Say) -> bool:
    """The second act: a conversation talks, goes inactive, wakes, closes, and frees what it held."""
    say("\nThe life of a conversation")
    timeline, v1 = Timeline(say), client.conversations.v1
    pair = {"messaging_binding_address": "+15558675313", "messaging_binding_proxy_address": "+15017122663"}
    conversation = v1.conversations(v1.conversations.create(friendly_name="A life").sid)
    conversation.participants.create(**pair)
    conversation.participants.create(identity="alice")
    timeline.note("created, with a phone and alice as members")
    first = conversation.messages.create(author="alice", body="Hello")
    (receipt,) = conversation.messages(first.sid).delivery_receipts.list()
    timeline.note(f"message {first.index} from alice; the copy for the phone is {receipt.status}")
    conversation.update(state="inactive")
    timeline.note("put to sleep: inactive")
    second = conversation.messages.create(author="+15558675313", body="Are you there?")
    woken = conversation.fetch().state
    timeline.note(f"message {second.index} from the phone wakes it: {woken}")
    conversation.update(state="closed")
    refused = code_of(lambda: conversation.messages.create(body="Too late"))
    timeline.note(f"closed for good: another message is refused with {refused}")
    other = v1.conversations(v1.conversations.create().sid)
    other.participants.create(**pair)
    taken = code_of(lambda: v1.conversations(v1.conversations.create().sid).participants.create(**pair))
    timeline.note(f"its phone and proxy are free for another conversation, and a third is refused with {taken}")
    read = [message.index for message in conversation.messages.list()]
    conversation.delete()
    gone = code_of(conversation.fetch)
    timeline.note(f"both messages can be read until it is deleted, then it is not found: {gone}")
    outcome = (receipt.status, woken, refused, taken, read, gone)
    return outcome == ("sent", "active", 50377, 50416, [0, 1], 20404)


def code_of(refused: Callable[[], object]) -> int | None:
    """The code that a request is refused with; None where it is not."""
    try:
        refused()
    except TwilioRestException as error:
        return int(error.code)
    return None


def told(conversation_sid: str, receiver: Receiver, validator: RequestValidator, timeline: Timeline) -> bool:
    """Whether the webhook came that tells of the state, with a signature that the SDK's own validator accepts."""
    webhook = receiver.wait_for(
        lambda came: came.parameters.get("ConversationSid") == conversation_sid, TIMEOUT_SECONDS
    )
    if webhook is None:
        timeline.note("no webhook came")
        return False
    parameters = webhook.parameters
    fits = validator.validate(receiver.url, parameters, webhook.headers["X-Twilio-Signature"])
    change = f"{parameters['StateFrom']} -> {parameters['StateTo']}"
    timeline.note(f"webhook {parameters['EventType']} {change}, signature {'valid' if fits else 'NOT VALID'}")
    return bool(fits and parameters["StateTo"] == "active")


def wait_for_end(state: Callable[[], str]) -> str:
    """The state once it is no longer `initializing`, or `initializing` where patience ends."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while (present := state()) == "initializing" and time.monotonic() < until:
        time.sleep(0.01)
    return present


@contextmanager
def instance() -> Iterator[dict[str, str]]:
    """A `convoke up` of its own, in memory on a free port; its ready line."""
    command = [sys.executable, "-m", "convoke", "up", "--port", "0", "--data", ":memory:", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(1)
            yield json.loads(line)
        finally:
            process.terminate()
