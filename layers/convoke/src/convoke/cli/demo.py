"""`convoke demo`: start `convoke up`, create conversations with the Twilio SDK, and check the results.

The first part runs the two examples of Twilio's ConversationWithParticipants page. The second part takes one
conversation through its states. In the third part, a simulated phone writes to a business number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.conversations.v1.conversation import ConversationContext
from twilio.rest.conversations.v1.conversation.message import MessageContext

from convoke.testing.receiver import Receiver

Print = Callable[[str], None]

TIMEOUT_SECONDS = 10.0
"""How long the demo waits for a result. A result usually takes a few milliseconds."""

PHONE, BUSINESS = "+15558675319", "+15017122669"

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


@click.command()
def demo() -> None:
    """Run a demo with the Twilio SDK and print every step.

    The demo starts a separate `convoke up` and a webhook receiver. The exit code is 0 if every step succeeded,
    otherwise 1.
    """
    sys.exit(0 if run_demo(click.echo) else 1)


@dataclass(slots=True)
class Timeline:
    """Prints each line together with the milliseconds since the start of the timeline."""

    print_line: Print
    begun: float = field(default_factory=time.perf_counter)

    def add(self, text: str) -> None:
        self.print_line(f"  {(time.perf_counter() - self.begun) * 1000:8.1f} ms  {text}")


def run_demo(print_line: Print) -> bool:
    """Run the three parts of the demo, and stop at the first failure. Return whether the results are as expected."""
    with started_instance() as ready, Receiver().listening() as receiver:
        print_line(f"Convoke listens on {ready['url']}. A webhook receiver listens on {receiver.url}.")
        client = Client(ready["account_sid"], ready["auth_token"])
        client.conversations.base_url = ready["url"]
        client.conversations.v1.configuration.webhooks().update(
            method="POST", post_webhook_url=receiver.url, filters=["onConversationStateUpdated"]
        )
        validator = RequestValidator(ready["auth_token"])
        examples_succeeded = all(run_example(name, client, receiver, validator, print_line) for name in EXAMPLES)
        return examples_succeeded and run_lifecycle(client, print_line) and run_phone(client, print_line)


def run_example(name: str, client: Client, receiver: Receiver, validator: RequestValidator, print_line: Print) -> bool:
    """Create the conversation of one example. Wait for its participants and for its webhook.

    Return whether the checked results are as expected.
    """
    print_line(f"\n{name}")
    timeline = Timeline(print_line)
    timeline.add(f"POST /v1/ConversationWithParticipants with {len(EXAMPLES[name])} participants")
    participants = [json.dumps(participant) for participant in EXAMPLES[name]]
    created = client.conversations.v1.conversation_with_participants.create(
        friendly_name=name, participant=participants
    )
    timeline.add(f"answered: {created.sid} is {created.state}")
    conversation = client.conversations.v1.conversations(created.sid)
    state = wait_for_provisioning(lambda: str(conversation.fetch().state))
    members = conversation.participants.list()
    for member in members:
        timeline.add(f"participant {member.sid}: {member.identity or member.messaging_binding}")
    timeline.add(f"polled: the conversation is {state}")
    return (
        created.state == "initializing"
        and state == "active"
        and len(members) == len(participants)
        and check_webhook(created.sid, receiver, validator, timeline)
    )


def run_lifecycle(client: Client, print_line: Print) -> bool:
    """Take one conversation through its states: active, inactive, active, closed, deleted.

    Return whether the checked results are as expected.
    """
    print_line("\nThe lifecycle of a conversation")
    timeline, v1 = Timeline(print_line), client.conversations.v1
    pair = {"messaging_binding_address": "+15558675313", "messaging_binding_proxy_address": "+15017122663"}
    conversation = v1.conversations(v1.conversations.create(friendly_name="A lifecycle").sid)
    conversation.participants.create(**pair)
    conversation.participants.create(identity="alice")
    timeline.add("created with two participants, a phone and alice")
    first = conversation.messages.create(author="alice", body="Hello")
    status, _ = wait_for_delivery(conversation.messages(first.sid))
    timeline.add(f"message {first.index} from alice: the status of its delivery to the phone is {status}")
    conversation.update(state="inactive")
    timeline.add("updated: the conversation is inactive")
    second = conversation.messages.create(author="+15558675313", body="Are you there?")
    state = conversation.fetch().state
    timeline.add(f"message {second.index} from the phone: the conversation is {state} again")
    conversation.update(state="closed")
    closed_code = error_code(lambda: conversation.messages.create(body="Too late"))
    timeline.add(f"closed: another message is refused with error {closed_code}")
    other = v1.conversations(v1.conversations.create().sid)
    other.participants.create(**pair)
    taken_code = error_code(lambda: v1.conversations(v1.conversations.create().sid).participants.create(**pair))
    timeline.add(f"a second conversation may use the phone and its proxy; a third is refused with error {taken_code}")
    indexes = [message.index for message in conversation.messages.list()]
    conversation.delete()
    deleted_code = error_code(conversation.fetch)
    timeline.add(f"deleted: the messages were readable before; now a fetch is refused with error {deleted_code}")
    outcome = (status, state, closed_code, taken_code, indexes, deleted_code)
    return outcome == ("delivered", "active", 50377, 50416, [0, 1], 20404)


def run_phone(client: Client, print_line: Print) -> bool:
    """Let a simulated phone write to a business number, get an answer, and opt out.

    Return whether the checked results are as expected.
    """
    print_line("\nA phone")
    timeline, v1 = Timeline(print_line), client.conversations.v1
    v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
    timeline.add(f"a message to {BUSINESS} creates a conversation")
    asked = send_as_phone(client, "Are you open?")
    conversation = v1.conversations(asked["conversation_sid"])
    timeline.add(f"{PHONE} writes: {asked['conversation_sid']} is {conversation.fetch().state}")
    answered = answer_phone(conversation, "Until 6")
    timeline.add(f"support answers: the status of the delivery to the phone is {answered[0]}")
    send_as_phone(client, "On my way")
    bodies = [message.body for message in conversation.messages.list()]
    timeline.add(f"the phone answers: the conversation has {len(bodies)} messages")
    send_as_phone(client, "STOP")
    refused = answer_phone(conversation, "See you")
    timeline.add(f"the phone sends STOP: the next delivery is {refused[0]} with error {refused[1]}")
    return (answered, bodies, refused) == (
        ("delivered", 0),
        ["Are you open?", "Until 6", "On my way"],
        ("failed", 21610),
    )


def send_as_phone(client: Client, body: str) -> dict[str, str]:
    """Send a message as the simulated phone. Return the API's response, with the SIDs of conversation and message."""
    url = f"{client.conversations.base_url}/convoke/v1/Simulate/InboundMessages"
    form = {"From": PHONE, "To": BUSINESS, "Body": body}
    sent: dict[str, str] = json.loads(client.request("POST", url, data=form, auth=client.auth).text)
    return sent


def answer_phone(conversation: ConversationContext, body: str) -> tuple[str, int]:
    """Send a message to the phone. Return the status and the error code of the delivery."""
    return wait_for_delivery(conversation.messages(conversation.messages.create(author="support", body=body).sid))


def wait_for_delivery(message: MessageContext) -> tuple[str, int]:
    """Wait until a message is delivered or has failed, or until the timeout. The message must have one receipt.

    Return the status and the error code of the receipt.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        (receipt,) = message.delivery_receipts.list()
        if receipt.status in ("delivered", "failed") or time.monotonic() > deadline:
            return str(receipt.status), int(receipt.error_code)
        time.sleep(0.01)


def error_code(request: Callable[[], object]) -> int | None:
    """Return the Twilio error code of a refused request, or None if the request succeeds."""
    try:
        request()
    except TwilioRestException as error:
        return int(error.code)
    return None


def check_webhook(conversation_sid: str, receiver: Receiver, validator: RequestValidator, timeline: Timeline) -> bool:
    """Wait for the webhook about the state change. Return whether its signature and the new state are correct."""
    webhook = receiver.wait_for(
        lambda received: received.parameters.get("ConversationSid") == conversation_sid, TIMEOUT_SECONDS
    )
    if webhook is None:
        timeline.add("no webhook was received")
        return False
    parameters = webhook.parameters
    is_valid = validator.validate(receiver.url, parameters, webhook.headers["X-Twilio-Signature"])
    change = f"{parameters['StateFrom']} -> {parameters['StateTo']}"
    timeline.add(f"webhook {parameters['EventType']} {change}, signature {'valid' if is_valid else 'NOT VALID'}")
    return bool(is_valid and parameters["StateTo"] == "active")


def wait_for_provisioning(fetch_state: Callable[[], str]) -> str:
    """Fetch the state until it is not `initializing`, or until the timeout. Return the last state."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (state := fetch_state()) == "initializing" and time.monotonic() < deadline:
        time.sleep(0.01)
    return state


@contextmanager
def started_instance() -> Iterator[dict[str, str]]:
    """Run `convoke up` on a free port and without a data file. Yield the URL and the credentials."""
    command = [sys.executable, "-m", "convoke", "up", "--port", "0", "--data", ":memory:", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                # The process has ended, and has printed the reason to stderr.
                raise SystemExit(1)
            yield json.loads(line)
        finally:
            process.terminate()
