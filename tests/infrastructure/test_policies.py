"""Each function's role in the translated template allows exactly the AWS calls that are made with the role.

Each function and Lambda itself make calls with the function's role. A test runs a scenario that causes every kind of
AWS call, and records the calls of the functions with their resources. Then the test compares the calls with the roles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, cast

import pytest

from convoke.aws.edges import AwsEdges
from convoke.aws.handlers.message_sender import MAX_RECEIVES
from convoke.domain.carriers import CarrierRefusedError, OutboundCopy, SentCopy
from convoke.domain.errors import OptedOutError
from convoke.domain.senders import Provider
from convoke.operations.ports import Carrier
from convoke.storage.table import Item, Put
from tests.functions.test_inbound_messages import assign
from tests.support.aws import FunctionContext, MotoInstance, moto_instance
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, event_of
from tests.support.media import media_sid
from tests.support.phones import BUSINESS, PHONE, configure
from tests.support.template import STACK_NAME, functions, state_machine
from tests.support.translated import deployed, references, translated

Action = tuple[str, str]
"""An IAM action and its resource.

The resource is the name of a secret, a logical ID, or `*`. A path can follow the logical ID: `Table/index/due`.
"""


class Call(NamedTuple):
    """A recorded call to AWS."""

    function: str
    service: str
    operation: str
    params: Mapping[str, Any]


SECRETS = "auth-tokens/*"
"""Stands for all secrets with Auth Tokens.

A policy cannot name each secret, because most accounts are created after the deployment.
"""

SENDERS = "senders/*"
"""Stands for all secrets with the credentials of senders."""

MASTER = "api-key-master"
"""The secret from which Convoke derives the secrets of API keys."""

TWILIO_SENDER = {
    "Address": "+15017122669",
    "Provider": "twilio",
    "Twilio.AccountSid": "AC" + "1" * 32,
    "Twilio.AuthToken": "token",
}

LOG_DELIVERY = {
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
}
"""The actions that Step Functions needs to write its log.

See https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html.
"""

POLLING = {
    "AWS::SQS::Queue": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "AWS::DynamoDB::Table": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
}
"""Maps each type of event source to the actions with which Lambda reads the event source.

Lambda performs these actions with the function's role. `needed_by_lambda` adds `dynamodb:ListStreams`. See
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html.
"""


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> Iterator[MotoInstance]:
    """Run an instance, and record the AWS calls of all functions in `calls`.

    `names` maps the AwsEdges of each function to the function. Each sweep creates new AwsEdges, as a cold start does.
    Therefore an object that is missing from `names` belongs to the sweeper.
    """
    names: dict[int, str] = {}
    client_of = AwsEdges._client

    def recording(edges: AwsEdges, service: Any, **options: Any) -> Any:
        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            calls.append(Call(names.get(id(edges), "sweeper"), service, model.name, params))

        client = client_of(edges, service, **options)
        client.meta.events.register("provide-client-params.*.*", note)
        return client

    monkeypatch.setattr(AwsEdges, "_client", recording)
    with moto_instance() as instance:
        names.update({id(instance.edges(function)): function for function in functions()})
        # The setup has called AWS and has cached the account's token. Forget the calls and the token.
        instance.edges("api").auth_tokens.fetch.forget(instance.account.sid)
        calls.clear()
        yield instance


def needed(call: Call, logical_ids: Mapping[str, str]) -> Iterator[Action]:
    """Yield the IAM actions that an AWS call needs. `logical_ids` maps queue URLs, ARNs and buckets to logical IDs."""
    _, service, operation, params = call
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            yield from ((f"dynamodb:{kind}Item", "Table") for write in params["TransactItems"] for kind in write)
        case "dynamodb", _:
            index = params.get("IndexName")
            yield f"dynamodb:{operation}", f"Table/index/{index}" if index else "Table"
        case "sqs", _:
            yield f"sqs:{operation.removesuffix('Batch')}", logical_ids[params["QueueUrl"]]
        case "stepfunctions", _:
            yield f"states:{operation}", logical_ids[params["stateMachineArn"]]
        case "events", _:
            yield f"events:{operation}", "EventBus"
        case "secretsmanager", _ if params.get("SecretId", params.get("Name")).startswith(f"{STACK_NAME}/senders/"):
            yield f"secretsmanager:{operation}", SENDERS
        case "s3", _:
            yield f"s3:{operation}", f"{logical_ids[params['Bucket']]}/*"
        case "secretsmanager", _ if params["SecretId"] == f"{STACK_NAME}/{MASTER}":
            yield f"secretsmanager:{operation}", MASTER
        case "secretsmanager", _:
            assert params["SecretId"].startswith(f"{STACK_NAME}/{SECRETS.removesuffix('*')}")
            yield f"secretsmanager:{operation}", SECRETS


def allowed(role: str) -> Iterator[Action]:
    """Yield the IAM actions that a role in the translated template allows."""
    for policy in deployed("AWS::IAM::Role")[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]):
                yield from ((action, named(resource)) for resource in listed(statement["Resource"]))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(resource: Any) -> str:
    """Return a policy's resource in the form that `Action` uses."""
    match resource:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": str(attribute)}:
            return attribute.replace(".StreamArn", "/stream").removesuffix(".Arn")
        case {"Fn::Sub": [str(arn), {"Prefix": {"Fn::Sub": prefix}}]} if arn.endswith(":secret:${Prefix}*"):
            name = f"{prefix.removeprefix('${AWS::StackName}/')}*"
            assert name in (SECRETS, SENDERS)
            return name
        case {"Fn::Sub": [str(arn), {"Name": {"Fn::Sub": name}}]} if arn.endswith(":secret:${Name}-??????"):
            assert name == f"${{AWS::StackName}}/{MASTER}"
            return MASTER
        case {"Fn::Sub": [str(arn), {"TableArn": {"Fn::GetAtt": "Table.Arn"}}]}:
            return arn.replace("${TableArn}", "Table").removesuffix("/*")
        case {"Fn::Sub": str(arn)} if arn.endswith(".Arn}/*"):
            return arn.removeprefix("${").replace(".Arn}", "")
    return str(resource)


def roles() -> dict[str, tuple[str, str]]:
    """Return a mapping from each function's folder name to the logical IDs of the function and its role."""
    found = {}
    for name, function in deployed("AWS::Lambda::Function").items():
        (role,) = references(function["Properties"]["Role"])
        found[function["Properties"]["Code"]["S3Key"].removeprefix("functions/")] = (name, role)
    return found


def needed_by_lambda(function: str) -> Iterator[Action]:
    """Yield the actions that Lambda itself performs with the function's role.

    Lambda writes logs, reads the event source, and sends failed events to a queue.
    """
    (group,) = references(deployed("AWS::Lambda::Function")[function]["Properties"]["LoggingConfig"]["LogGroup"])
    yield from ((action, group) for action in ("logs:CreateLogStream", "logs:PutLogEvents"))
    for mapping in deployed("AWS::Lambda::EventSourceMapping").values():
        properties = mapping["Properties"]
        if [*references(properties["FunctionName"])] == [function]:
            (source,) = references(properties["EventSourceArn"])
            type_ = resource_type(source)
            yield from ((action, named(properties["EventSourceArn"])) for action in POLLING[type_])
            if type_ == "AWS::DynamoDB::Table":
                yield "dynamodb:ListStreams", f"{source}/stream"
                yield "sqs:SendMessage", named(properties["DestinationConfig"]["OnFailure"]["Destination"])
    for config in deployed("AWS::Lambda::EventInvokeConfig").values():
        properties = config["Properties"]
        failures = properties.get("DestinationConfig", {}).get("OnFailure")
        if [*references(properties["FunctionName"])] == [function] and failures:
            yield "sqs:SendMessage", named(failures["Destination"])


def resource_type(logical_id: str) -> str:
    return str(translated()["Resources"][logical_id]["Type"])


def live(instance: MotoInstance) -> None:
    """Cause every kind of AWS call, for example with failing webhooks, replays, lost queue messages and timers."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(
        post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated", "onConversationUpdated"]
    )
    create = v1.conversation_with_participants.create
    create(unique_name="visit", participant=CHAT_AND_SMS)
    instance.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": "https://errors.example.com/"})
    instance.receivers.statuses = [500, 403]
    for _ in range(2):
        instance.work()
        instance.forget_pauses()
    assert len(v1.conversations("visit").participants.list()) == 2
    assert len(v1.conversations.list()) == len(v1.participant_conversations.list(identity="alice")) == 1
    (event, *_) = instance.call("GET", "/convoke/v1/Events").body["events"]
    assert instance.call("GET", f"/convoke/v1/Events/{event['id']}/Attempts").status == 200
    assert instance.call("POST", f"/convoke/v1/Events/{event['id']}/Replay").status == 202
    assert len(instance.call("GET", "/v1/Alerts").body["alerts"]) == 1
    v1.conversations("visit").update(unique_name="other", state="closed", x_twilio_webhook_enabled="true")
    v1.conversations("other").delete()
    instance.execute({**execution(instance, create(participant=CHAT_AND_SMS).sid), "causes": [CAUSE]})

    create(participant=chat(2))
    instance.lose_messages()
    instance.sweep(timedelta(minutes=1))
    instance.work()

    create(unique_name="timed", participant=CHAT_AND_SMS, timers_inactive="PT1M", timers_closed="PT10M")
    instance.work()
    instance.phone_plans.plan(instance.account.sid, PHONE, failures=3, reports_delivery=True)
    v1.conversations("timed").messages.create(body="Hello")
    v1.conversations("timed").messages.create(body="Hello again")
    picture = v1.conversations("timed").messages.create(media_sid=media_sid(instance)).sid
    v1.conversations("timed").messages(picture).delete()
    v1.conversations("timed").webhooks.create(
        target="webhook",
        configuration_url="https://hooks.example.com/own",
        configuration_filters=["onMessageAdded"],
        configuration_replay_after=0,
    )
    instance.work()
    assert instance.receivers.posted[-1].url == "https://hooks.example.com/own"
    instance.forget_pauses(receives=MAX_RECEIVES)
    instance.work()
    v1.roles.create(friendly_name="guest", type="conversation", permission=["sendMessage"])
    v1.users("alice").delete()
    sender = instance.call("POST", "/convoke/v1/Senders", TWILIO_SENDER).body["sid"]
    event = event_of("POST", f"{ORIGIN}/convoke/v1/Statuses/Twilio/{sender}", data={"MessageStatus": "sent"})
    assert instance.api(event, FunctionContext())["statusCode"] == 403
    pair = CHAT_AND_SMS[0].replace("+15017122661", TWILIO_SENDER["Address"])
    sid = create(participant=[pair]).sid
    instance.work()
    cast("dict[Provider, Carrier]", instance.edges("message_sender").carriers)[Provider.TWILIO] = RefusingCarrier()
    v1.conversations(sid).messages.create(body="Hello", media_sid=media_sid(instance))
    instance.work()
    assert instance.call("DELETE", f"/convoke/v1/Senders/{sender}").status == 204
    assert instance.call("POST", f"/2010-04-01/Accounts/{instance.account.sid}/Keys.json").status == 201
    v1.services(v1.services.create(friendly_name="Support").sid).delete()
    for minutes in (1, 2, 11):
        instance.sweep(timedelta(minutes=minutes))
    assert v1.conversations("timed").fetch().state == "closed"

    write_as_phones(instance)
    sid = create(participant=chat(3)).sid
    instance._add_participants()
    for _ in range(2):
        assert instance._conversation_finalizer({**execution(instance, sid), "task": "finalize"}, FunctionContext())
    v1.conversations(sid).delete()
    instance.work()
    instance.sweep(timedelta(minutes=1))

    unreadable: Item = {"pk": f"{instance.account.sid}#IM{'f' * 32}", "sk": "change", "published_by_maker": False}
    instance.table.transact([Put(unreadable)])
    instance.deployment.client("sqs").send_message(
        QueueUrl=instance.deployment.values["DeliveryQueue"], MessageBody="{}"
    )
    instance.deployment.client("sqs").send_message(
        QueueUrl=instance.deployment.values["OutboundQueue"], MessageBody="{}"
    )
    instance.work()


class RefusingCarrier:
    """A fake carrier that refuses every copy, because tests must not call a real carrier."""

    sends_group_mms = False

    def send(self, copy: OutboundCopy) -> SentCopy:
        raise CarrierRefusedError(OptedOutError)


def write_as_phones(instance: MotoInstance) -> None:
    """Simulate a phone that writes to a number of the AWS account. The phone's first message creates a conversation."""
    assign(instance)
    configure(instance)
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(pre_webhook_url="https://hooks.example.com/pre", filters=["onConversationAdd", "onMessageAdd"])
    for number in range(2):
        instance.publish_from_phone(
            originationNumber="+15558675319",
            destinationNumber=BUSINESS,
            messageBody="Hello",
            inboundMessageId=str(number),
        )
    webhooks.update(filters=["onConversationStateUpdated", "onConversationUpdated"])


CAUSE = {"code": 50109, "message": "The role is gone"}


def execution(instance: MotoInstance, sid: str) -> dict[str, Any]:
    return {"account_sid": instance.account.sid, "conversation_sid": sid, "causes": []}


def test_roles_allow_exactly_the_calls_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Call] = []
    with recorded(monkeypatch, calls) as instance:
        live(instance)
    logical_ids = {value: name for name, value in instance.deployment.values.items()}
    used: dict[str, set[Action]] = defaultdict(set)
    for call in calls:
        used[call.function].update(needed(call, logical_ids))
    # On AWS, the state machine calls PutEvents. Therefore the function needs no permission for PutEvents. In this test,
    # MotoInstance plays the state machine, and its call of PutEvents is recorded as a call of the function.
    used["conversation_finalizer"].discard(("events:PutEvents", "EventBus"))
    assert set(roles()) == set(functions())
    for folder, (function, role) in roles().items():
        assert set(allowed(role)) == used[folder] | {*needed_by_lambda(function)}, folder


def test_message_sender_sends_only_from_given_numbers() -> None:
    arns = "arn:aws:sms-voice:us-east-1:123456789012:phone-number/1,arn:aws:sms-voice:us-east-1:123456789012:pool/2"
    _, role = roles()["message_sender"]
    (policy,) = deployed("AWS::IAM::Role", SmsSenderArns=arns)[role]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    actions = ["sms-voice:SendTextMessage", "sms-voice:SendMediaMessage"]
    (sends,) = [each for each in statements if each["Action"] == actions]
    assert sends["Resource"] == {"Fn::Split": [",", {"Ref": "SmsSenderArns"}]}


def test_role_of_the_state_machine_allows_exactly_its_tasks() -> None:
    tasks = {"lambda:invoke": ("lambda:InvokeFunction", "ConversationFinalizerFunction")}
    tasks["events:putEvents"] = ("events:PutEvents", "EventBus")
    (machine,) = deployed("AWS::StepFunctions::StateMachine").values()
    (role,) = references(machine["Properties"]["RoleArn"])
    called = {
        state["Resource"].partition(":states:::")[2]
        for state in state_machine()["States"].values()
        if "Resource" in state
    }
    assert set(allowed(role)) == {tasks[call] for call in called} | {(action, "*") for action in LOG_DELIVERY}
