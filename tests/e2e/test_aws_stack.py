"""The whole template is deployed to MiniStack, an AWS emulator, and works with the official SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import requests
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.conversations.v1 import V1

from convoke.cli.ministack import Stack, deployed
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.phones import BUSINESS
from tests.support.processes import Received, receiver, up

pytestmark = [pytest.mark.xdist_group("aws-stack"), pytest.mark.timeout(300)]
"""One pytest-xdist worker runs all tests with the first mark, so this module deploys its stack only once."""

PHONE = "+15558675399"
"""A phone number that only one test of this module uses."""

TIMEOUT_SECONDS = 60.0
"""The maximum wait for a result.

A result can need a cold start, which takes about one second. If the adding of participants was interrupted, the sweeper
continues it ten seconds after the creation of the conversation.
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with deployed() as stack:
        yield stack


@pytest.fixture
def v1(stack: Stack) -> V1:
    client = Client(stack.account_sid, stack.auth_token)
    client.conversations.base_url = stack.url
    return client.conversations.v1


@contextmanager
def webhooks(v1: V1) -> Iterator[tuple[str, Received]]:
    """Run a webhook receiver for state changes. Yield the receiver's URL and the received requests."""
    with receiver() as (url, received):
        v1.configuration.webhooks().update(method="POST", post_webhook_url=url, filters=["onConversationStateUpdated"])
        yield url, received


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def webhook_of(sid: str, received: Received) -> tuple[dict[str, str], str]:
    """Wait for a webhook request about this conversation. Return the request's parameters and signature."""
    while True:
        parameters, signature = received.get(timeout=TIMEOUT_SECONDS)
        if parameters["ConversationSid"] == sid:
            return parameters, signature


@contextmanager
def stopped(stack: Stack, function: str) -> Iterator[None]:
    """Disable the event source of a function, so that messages wait in the queue until the block ends."""
    functions = stack.client("lambda")
    name = stack.resource(function)
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def quick_redrive(stack: Stack, queue: str) -> Iterator[None]:
    """Set a queue's visibility timeout to two seconds for quick retries. The template sets three minutes."""
    sqs, url = stack.client("sqs"), stack.resource(queue)
    timeout = {"VisibilityTimeout": "2"}
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(timeout))["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=timeout)
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def poison(stack: Stack, queue: str, body: str) -> None:
    """Send a message, and receive it so often that one more failure makes it a dead letter.

    Call this function while the queue's Lambda function is stopped (see `stopped`).
    """
    sqs, url = stack.client("sqs"), stack.resource(queue)
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    sqs.send_message(QueueUrl=url, MessageBody=body)
    for _ in range(int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]) - 1):
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)


def dead_letters(stack: Stack, queue: str, awaited: str) -> list[str]:
    """Receive and delete the messages of a dead-letter queue until `awaited` arrives. Return all bodies."""
    sqs, url = stack.client("sqs"), stack.resource(queue)
    until, found = time.monotonic() + TIMEOUT_SECONDS, list[str]()
    while awaited not in found:
        assert time.monotonic() < until
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message["Body"])
    return found


def wait_for_end(v1: V1, sid: str, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Wait until a conversation has left the state `initializing`. Return the new state.

    While the conversation is initializing, call `meanwhile` repeatedly.
    """
    until = time.monotonic() + TIMEOUT_SECONDS
    while (state := str(v1.conversations(sid).fetch().state)) == "initializing":
        assert time.monotonic() < until
        meanwhile()
        time.sleep(0.1)
    return state


@pytest.mark.parametrize("example", [CHAT_AND_SMS, GROUP_MMS], ids=["chat and SMS", "group MMS"])
def test_conversation_with_participants_becomes_active_and_sends_a_signed_webhook(
    stack: Stack, v1: V1, example: list[str]
) -> None:
    with webhooks(v1) as (url, received):
        created = v1.conversation_with_participants.create(participant=example)
        assert created.state == "initializing"
        assert wait_for_end(v1, created.sid) == "active"
        assert len(v1.conversations(created.sid).participants.list()) == len(example)
        parameters, signature = webhook_of(created.sid, received)
    assert parameters["StateTo"] == "active"
    assert RequestValidator(stack.auth_token).validate(url, parameters, signature)


def test_gateway_serves_routes_that_twilio_does_not_have(stack: Stack, v1: V1) -> None:
    client = Client(stack.account_sid, stack.auth_token)
    assert client.request("GET", f"{stack.url}/openapi.json", auth=("", "")).status_code == 200
    sid = v1.conversation_with_participants.create(participant=chat(2)).sid
    assert wait_for_end(v1, sid) == "active"
    outcome = json.loads(client.request("GET", f"{stack.url}/convoke/v1/Conversations/{sid}/Provisioning").text)
    assert [member["status"] for member in outcome["participants"]] == ["added", "added"]
    for addresses in (["+15017122661"], []):
        owned = {"OwnedAddresses": addresses or [""]}
        answered = client.request("POST", f"{stack.url}/convoke/v1/Configuration", data=owned)
        assert json.loads(answered.text)["owned_addresses"] == addresses


def test_media_goes_through_the_function_into_the_bucket_and_is_downloaded_from_it(stack: Stack, v1: V1) -> None:
    auth = (stack.account_sid, stack.auth_token)
    conversation = v1.conversations(v1.conversations.create().sid)
    url = f"{stack.url}/v1/Services/{conversation.fetch().chat_service_sid}/Media"
    content = bytes(range(256)) * 4096
    uploaded = requests.post(f"{url}?Filename=car.png", data=content, headers={"Content-Type": "image/png"}, auth=auth)
    assert (uploaded.status_code, uploaded.json()["size"]) == (201, len(content))
    sid = uploaded.json()["sid"]
    message = conversation.messages.create(media_sid=sid)
    assert message.media[0]["filename"] == "car.png"
    for download in (
        requests.get(uploaded.json()["links"]["content_direct_temporary"]),
        requests.get(uploaded.json()["links"]["content"], auth=auth),
    ):
        assert (download.status_code, download.content) == (200, content)
        assert download.headers["Content-Disposition"] == "attachment; filename*=UTF-8''car.png"
    conversation.messages(message.sid).delete()
    assert requests.get(f"{url}/{sid}", auth=auth).status_code == 404


def test_up_with_aws_engine_deploys_the_template_and_exits_with_0() -> None:
    with up("--engine", "aws") as instance:
        assert set(instance.ready) == {"url", "account_sid", "auth_token", "pid", "data", "console"}
        v1 = instance.client.conversations.v1
        created = [v1.conversation_with_participants.create(participant=chat(2)) for _ in range(3)]
        assert {conversation.state for conversation in created} == {"initializing"}
        assert {each.sid for each in v1.conversations.list(page_size=2)} == {each.sid for each in created}
        assert all(each.url.startswith(f"{instance.ready['url']}/v1/Conversations/") for each in created)
        assert instance.stop() == 0


def test_sweeper_recovers_a_lost_participant_message(stack: Stack, v1: V1) -> None:
    sqs, queue = stack.client("sqs"), stack.outputs["ParticipantQueueUrl"]

    def waiting() -> int:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    with stopped(stack, "ParticipantAdderFunction"):
        created = v1.conversation_with_participants.create(participant=chat(2))
        assert waiting() == 1
        sqs.purge_queue(QueueUrl=queue)
        assert waiting() == 0
        assert wait_for_end(v1, created.sid, meanwhile=partial(sweep, stack)) == "active"
    assert len(v1.conversations(created.sid).participants.list()) == 2


def test_sweeper_removes_deleted_conversations_and_late_messages_do_not_restore_them(stack: Stack, v1: V1) -> None:
    create = v1.conversation_with_participants.create
    closed = create(unique_name="visit", participant=chat(2)).sid
    assert wait_for_end(v1, closed) == "active"
    assert v1.conversations("visit").update(friendly_name="Visit", state="closed").state == "closed"
    with stopped(stack, "ParticipantAdderFunction"):
        initializing = create(unique_name="initializing", participant=chat(2)).sid
        for sid in (closed, initializing):
            assert v1.conversations(sid).delete()
    again = create(unique_name="initializing", participant=chat(2)).sid
    assert wait_for_end(v1, again) == "active"
    until = time.monotonic() + TIMEOUT_SECONDS
    while count_items(stack, closed) or count_items(stack, initializing):
        assert time.monotonic() < until
        sweep(stack)
    assert v1.conversations("initializing").fetch().sid == again


def sweep(stack: Stack) -> None:
    answer = stack.client("lambda").invoke(FunctionName=stack.resource("SweeperFunction"))
    assert "FunctionError" not in answer, answer["Payload"].read()


def count_items(stack: Stack, sid: str) -> int:
    """Return how many items of a conversation are left in the table."""
    found = stack.client("dynamodb").query(
        TableName=stack.outputs["TableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{stack.account_sid}#{sid}"}},
        ConsistentRead=True,
    )
    return int(found["Count"])


def test_state_machine_closes_a_failed_conversation_and_frees_its_unique_name(stack: Stack, v1: V1) -> None:
    cause = {"code": 50433, "message": "refused"}
    with stopped(stack, "ParticipantAdderFunction"), webhooks(v1) as (_, received):
        created = v1.conversation_with_participants.create(participant=chat(2), unique_name="taken")
        execution = {"account_sid": stack.account_sid, "conversation_sid": created.sid, "causes": [cause]}
        arn = stack.resource("ConversationFinalizerStateMachine")
        stack.client("stepfunctions").start_execution(stateMachineArn=arn, input=json.dumps(execution))
        assert wait_for_end(v1, created.sid) == "closed"
        assert v1.conversations(created.sid).participants.list() == []
        parameters, _ = webhook_of(created.sid, received)
        assert parameters["StateTo"] == "closed"
        again = v1.conversation_with_participants.create(participant=chat(1), unique_name="taken")
    assert wait_for_end(v1, again.sid) == "active"


@pytest.mark.parametrize(
    ("queue", "reader", "dead_letter_queue"),
    [
        ("ParticipantQueue", "ParticipantAdder", "ParticipantDeadLetterQueue"),
        ("DeliveryQueue", "WebhookDelivery", "DeliveryFailureQueue"),
    ],
)
def test_unreadable_message_becomes_a_dead_letter_and_blocks_no_other(
    stack: Stack, v1: V1, queue: str, reader: str, dead_letter_queue: str
) -> None:
    with webhooks(v1) as (_, received), quick_redrive(stack, queue):
        with stopped(stack, f"{reader}Function"):
            poison(stack, queue, "garbage")
            created = v1.conversation_with_participants.create(participant=chat(2))
        assert wait_for_end(v1, created.sid) == "active"
        webhook_of(created.sid, received)
        buried = dead_letters(stack, dead_letter_queue, "garbage")
        assert not [body for body in buried if created.sid in body]


def convoke(stack: Stack, *arguments: str) -> list[dict[str, str]]:
    """Run a command on the stack. Return the printed JSON lines."""
    environ = {
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    printed = subprocess.run(
        [sys.executable, "-m", "convoke", *arguments, "--stack", "convoke"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in printed.stdout.splitlines()]


def test_account_and_api_key_created_on_the_command_line_can_call_the_api(stack: Stack) -> None:
    (created,) = convoke(stack, "account", "create")
    (key,) = convoke(stack, "key", "create", created["sid"])
    for credentials in ((created["sid"], created["auth_token"]), (key["sid"], key["secret"])):
        client = Client(*credentials)
        client.conversations.base_url = stack.url
        (service,) = client.conversations.v1.services.list()
        assert service.sid == created["default_chat_service_sid"]
    assert [listed["sid"] for listed in convoke(stack, "account", "list")] == [stack.account_sid, created["sid"]]


def test_message_of_a_phone_comes_through_the_topic_into_a_new_conversation(stack: Stack, v1: V1) -> None:
    """MiniStack has no AWS End User Messaging.

    Therefore the test publishes the notification that this service would send.
    """
    arn = "arn:aws:sms-voice:us-east-1:000000000000:phone-number/phone-1"
    convoke(stack, "sender", "assign", BUSINESS, stack.account_sid, "--origination-identity", arn)
    v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
    notification = {
        "originationNumber": PHONE,
        "destinationNumber": BUSINESS,
        "messageBody": "Are you open?",
        "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
    }
    for _ in range(2):
        stack.client("sns").publish(TopicArn=stack.outputs["InboundMessageTopicArn"], Message=json.dumps(notification))
    wait_for(lambda: bool(v1.participant_conversations.list(address=PHONE)))
    (membership,) = v1.participant_conversations.list(address=PHONE)
    (message,) = v1.conversations(membership.conversation_sid).messages.list()
    assert (message.author, message.body) == (PHONE, "Are you open?")


def test_copy_comes_through_the_rule_and_the_queues_to_the_message_sender(stack: Stack, v1: V1) -> None:
    """The account has no sender. Therefore `functions/message_sender` calls no carrier.

    The receipt gets the error code 21703.
    """
    pair = '{"messaging_binding": {"address": "+15558675377", "proxy_address": "+15017122677"}}'
    sid = v1.conversation_with_participants.create(participant=[pair]).sid
    wait_for(lambda: v1.conversations(sid).fetch().state == "active")
    message = v1.conversations(sid).messages.create(body="Hello").sid

    def receipts() -> list[tuple[str | None, int]]:
        listed = v1.conversations(sid).messages(message).delivery_receipts.list()
        return [(receipt.status, receipt.error_code) for receipt in listed]

    wait_for(lambda: receipts() == [("failed", 21703)])
    assert v1.conversations(sid).messages(message).fetch().delivery["failed"] == "all"
