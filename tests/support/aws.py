"""Run the AWS engine in this process, with the environment variables that the template sets.

moto or MiniStack provides the AWS services. In these tests, moto and MiniStack do not invoke Convoke's functions.
Instead, `AwsInstance.work` passes queue messages, stream records and executions to the handlers, as AWS does.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from importlib import import_module
from itertools import count, product
from secrets import token_hex
from threading import Lock
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer
from botocore.session import Session, get_session
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler
from moto.sqs.models import sqs_backends

from convoke.api.requests import InvocationContext
from convoke.aws.edges import AwsEdges
from convoke.aws.handlers.invocations import Handler
from convoke.cli.sqs_dead_letters import SqsDeadLetters
from convoke.domain.senders import Provider
from convoke.embedded.simulated_carrier import PhonePlans, SimulatedCarrier
from convoke.program import Program
from convoke.storage.packing import unpack_provisioning
from tests.support.instances import Instance, Receivers
from tests.support.tables import TABLE_NAME, table_properties
from tests.support.template import STACK_NAME, environment, functions, resources, state_machine

REGION = "us-east-1"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
}


HANDLERS = (
    "_api",
    "_participant_adder",
    "_event_publisher",
    "_webhook_delivery",
    "_message_sender",
    "_inbound_messages",
    "_conversation_finalizer",
)
"""The `AwsInstance` attributes that `clear_caches` discards. Each attribute is a handler with its own caches."""


class FunctionContext(LambdaContext):
    """A Lambda context whose remaining time is always 60 seconds."""

    _aws_request_id = "00000000-0000-4000-8000-000000000000"
    _function_name = "function"
    _memory_limit_in_mb = 1024
    _invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:function"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 60_000


def new_session() -> Session:
    session = get_session()
    session.set_config_variable("region", REGION)
    return session


def create_api_key_master(secretsmanager: Any) -> None:
    """Create the master secret of API keys in Secrets Manager, as CloudFormation does."""
    secret = resources("AWS::SecretsManager::Secret")["ApiKeyMaster"]
    generated = secret["GenerateSecretString"]
    content = json.loads(generated["SecretStringTemplate"])
    content[generated["GenerateStringKey"]] = "m" * generated["PasswordLength"]
    name = secret["Name"]["Fn::Sub"].replace("${AWS::StackName}", STACK_NAME)
    secretsmanager.create_secret(Name=name, SecretString=json.dumps(content))


def create_queues(sqs: Any) -> dict[str, str]:
    """Create the queues of the template. Return a mapping from the logical IDs of the queues to their URLs."""
    urls = {}
    for name, queue in resources("AWS::SQS::Queue").items():
        is_fifo = queue.get("FifoQueue", False)
        attributes = {"FifoQueue": "true"} if is_fifo else {}
        urls[name] = sqs.create_queue(QueueName=f"{name}.fifo" if is_fifo else name, Attributes=attributes)["QueueUrl"]
    return urls


@cache
def shared_session() -> Session:
    """Return one session for all tests, because loading the service models takes longer than most tests."""
    return new_session()


@dataclass
class Deployment:
    """Creates the resources of the template that the tests use, in moto or in MiniStack.

    These resources are the table, the queues, the event bus and its rules, the state machine, the buckets and the
    master secret of API keys.
    """

    values: dict[str, str] = field(default_factory=dict)
    """Maps logical IDs of the created resources to the values of their `!Ref`."""
    session: Session = field(default_factory=shared_session)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: Any) -> Any:
        if service not in self._clients:
            self._clients[service] = self.session.create_client(service)
        return self._clients[service]

    def deploy(self) -> None:
        self.client("dynamodb").create_table(TableName=TABLE_NAME, **table_properties())
        self.values["Table"] = TABLE_NAME
        self.values |= create_queues(self.client("sqs"))
        for name in resources("AWS::Events::EventBus"):
            self.client("events").create_event_bus(Name=STACK_NAME)
            self.values[name] = STACK_NAME
        self._deploy_rules()
        role = f"arn:aws:iam::123456789012:role/{STACK_NAME}"
        created = self.client("stepfunctions").create_state_machine(
            name=STACK_NAME, definition=json.dumps(state_machine()), roleArn=role
        )
        self.values["ConversationFinalizerStateMachine"] = created["stateMachineArn"]
        for name in resources("AWS::S3::Bucket"):
            # The name of a bucket must be unique among all AWS accounts. Therefore the name has random digits.
            self.values[name] = f"{name.lower()}-{token_hex(4)}"
            self.client("s3").create_bucket(Bucket=self.values[name])
        create_api_key_master(self.client("secretsmanager"))

    def _deploy_rules(self) -> None:
        sqs, events = self.client("sqs"), self.client("events")
        for name, rule in resources("AWS::Events::Rule").items():
            (target,) = rule["Targets"]
            queue, _, _ = target["Arn"]["Fn::GetAtt"].partition(".")
            attributes = sqs.get_queue_attributes(QueueUrl=self.values[queue], AttributeNames=["QueueArn"])
            arn = attributes["Attributes"]["QueueArn"]
            events.put_rule(Name=name, EventBusName=STACK_NAME, EventPattern=json.dumps(rule["EventPattern"]))
            events.put_targets(Rule=name, EventBusName=STACK_NAME, Targets=[{"Id": target["Id"], "Arn": arn}])

    def environment(self, function: str) -> dict[str, str]:
        return environment(function, self.values)


class TaskError(Exception):
    """Simulates a failed task of the state machine.

    The message is the name by which the state machine knows the error, for example `Lambda.ServiceException`.
    """


def matches(error: Exception, handler: dict[str, Any]) -> bool:
    """Return whether the handler applies to the error. `handler` is a `Retry` or `Catch` entry of the state machine."""
    name = str(error) if isinstance(error, TaskError) else type(error).__name__
    return bool({name, "States.TaskFailed"} & {*handler["ErrorEquals"]})


class AwsInstance(Instance):
    is_deployed = True

    def __init__(self, deployment: Deployment, receivers: Receivers) -> None:
        self.deployment = deployment
        self._executed: set[str] = set()
        self.task_errors: dict[str, list[TaskError]] = {}
        """Maps a task's name to the errors that the next runs of the task raise.

        The first run raises the last error of the list. Each run does its work before it raises its error.
        """
        self._edges: dict[str, AwsEdges] = {}
        self.phone_plans = PhonePlans()
        super().__init__(self._resolve, self._operator(), self.edges("api").table, receivers)

    def edges(self, function: str) -> AwsEdges:
        """Return the function's edges: the objects through which the function uses the AWS services.

        The edges depend on the environment variables in the template.
        """
        if function not in self._edges:
            made = self._edges[function] = AwsEdges(self.deployment.environment(function))
            vars(made)["_session"] = self.session()
        return self._edges[function]

    def session(self) -> Session:
        """Return the session that creates the AWS clients of a function."""
        return self.deployment.session

    def _resolve(self, event: dict[str, Any], _: InvocationContext) -> dict[str, Any]:
        answered: dict[str, Any] = self._api(event, FunctionContext())
        return answered

    def handler(self, function: str) -> Handler:
        return make_handler(function, self.edges(function))

    def _operator(self) -> Any:
        """Return account operations that use the environment variables of the API function."""
        return Program(self.edges("api")).accounts

    def clear_caches(self) -> None:
        """Discard the handlers in HANDLERS and their caches.

        The caches of the edges, such as the cache of Auth Tokens, remain.
        """
        for name in HANDLERS:
            vars(self).pop(name, None)

    def work(self) -> None:
        steps = (self._add_participants, self._execute, self._publish, self._deliver, self._split_copies, self._send)
        while sum(step() for step in steps):
            pass

    def sweep(self, later: timedelta) -> int:
        edges = AwsEdges(self.deployment.environment("sweeper"))
        edges.now = lambda: self.edges("api").now() + later
        attended: int = make_handler("sweeper", edges)({}, FunctionContext())
        return attended

    @cached_property
    def _api(self) -> Handler:
        self.edges("api").webhook_client = self.receivers  # type: ignore[assignment]
        return self.handler("api")

    @cached_property
    def _participant_adder(self) -> Handler:
        return self.handler("participant_adder")

    @cached_property
    def _event_publisher(self) -> Handler:
        return self.handler("event_publisher")

    @cached_property
    def _webhook_delivery(self) -> Handler:
        self.edges("webhook_delivery").webhook_client = self.receivers  # type: ignore[assignment]
        return self.handler("webhook_delivery")

    @cached_property
    def _message_sender(self) -> Handler:
        """The handler of the message sender. Simulated phones replace the carrier."""
        edges = self.edges("message_sender")
        carrier = SimulatedCarrier(edges.table, self.phone_plans, edges.now)
        vars(edges)["carriers"] = {Provider.SIMULATED: carrier}
        edges.simulates_phones = True
        return self.handler("message_sender")

    @cached_property
    def _inbound_messages(self) -> Handler:
        self.edges("inbound_messages").webhook_client = self.receivers  # type: ignore[assignment]
        return self.handler("inbound_messages")

    def publish_from_phone(self, **payload: object) -> None:
        """Pass an SNS notification with this payload to the function for inbound messages.

        On AWS, AWS End User Messaging publishes the notification, and SNS invokes the function.
        """
        self._inbound_messages({"Records": [{"Sns": {"Message": json.dumps(payload)}}]}, FunctionContext())

    @cached_property
    def _conversation_finalizer(self) -> Handler:
        return self.handler("conversation_finalizer")

    def _add_participants(self) -> bool:
        return self._consume("ParticipantQueue", self._participant_adder)

    def _deliver(self) -> bool:
        return self._consume("DeliveryQueue", self._webhook_delivery)

    def _split_copies(self) -> bool:
        return self._consume("OutboundQueue", self._message_sender)

    def _send(self) -> bool:
        return self._consume("CopyQueue", self._message_sender)

    def _consume(self, queue: str, handler: Handler) -> bool:
        """Pass one batch of the queue's messages to the handler. Return whether the queue had messages.

        Delete the messages that the handler does not report as failed.
        """
        sqs, url = self.deployment.client("sqs"), self.deployment.values[queue]
        received = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not received:
            return False
        failures = handler({"Records": [sqs_record(message) for message in received]}, FunctionContext())
        failed = {failure["itemIdentifier"] for failure in failures["batchItemFailures"]}
        for message in received:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _publish(self) -> bool:
        """Pass new stream records to the event publisher. Return whether the event publisher received any records.

        Records that do not pass the filter of the event source mapping are left out.
        """
        records = [json.loads(json.dumps(record, default=datetime.timestamp)) for record in self.new_records()]
        wanted = [record for record in records if passes_filter(record)]
        if wanted:
            answered = self._event_publisher({"Records": wanted}, FunctionContext())
            assert answered == {"batchItemFailures": []}
        return bool(wanted)

    @abstractmethod
    def new_records(self) -> list[dict[str, Any]]:
        """Return the stream records that were added since the last call. The oldest record comes first."""

    def _execute(self) -> bool:
        """Run the executions that were started since the last call. Return whether anything ran."""
        stepfunctions = self.deployment.client("stepfunctions")
        arn = self.deployment.values["ConversationFinalizerStateMachine"]
        started = stepfunctions.list_executions(stateMachineArn=arn)["executions"]
        new = [execution["executionArn"] for execution in started if execution["executionArn"] not in self._executed]
        for execution_arn in reversed(new):
            self._executed.add(execution_arn)
            given = json.loads(stepfunctions.describe_execution(executionArn=execution_arn)["input"])
            self.execute(given)
        return bool(new)

    def execute(self, data: dict[str, Any]) -> list[str]:
        """Run the state machine from start to end with the input `data`. Return the visited states in order."""
        definition, passed = state_machine(), []
        name: str | None = definition["StartAt"]
        while name:
            passed.append(name)
            state = definition["States"][name]
            try:
                self._perform_with_retries(name, state, data)
                name = state.get("Next")
            except Exception as error:
                caught = [catch for catch in state.get("Catch", []) if matches(error, catch)]
                if not caught:
                    raise
                name = caught[0]["Next"]
        return passed

    def _perform_with_retries(self, name: str, state: dict[str, Any], data: dict[str, Any]) -> None:
        """Run the state, and retry a failed state without pauses.

        The first `Retry` entry that matches the error limits the number of retries.
        """
        for retries in count():
            try:
                self._perform(state, data)
                self._fail(name)
            except Exception as error:
                retriers = [retrier for retrier in state.get("Retry", []) if matches(error, retrier)]
                if not retriers or retries == retriers[0]["MaxAttempts"]:
                    raise
            else:
                return

    def _fail(self, name: str) -> None:
        if errors := self.task_errors.get(name):
            raise errors.pop()

    def _perform(self, state: dict[str, Any], data: dict[str, Any]) -> None:
        if state["Type"] != "Task":
            return
        if state["Resource"].endswith("events:putEvents"):
            events = self.edges("conversation_finalizer")._client("events")
            answer = events.put_events(Entries=[data["published"]["entry"]])
            assert answer["FailedEntryCount"] == 0
            return
        payload = {
            name.removesuffix(".$"): data[value.removeprefix("$.")] if name.endswith(".$") else value
            for name, value in state["Parameters"]["Payload"].items()
        }
        result = self._conversation_finalizer(json.loads(json.dumps(payload)), FunctionContext())
        if state["ResultPath"]:
            data["published"] = {"entry": json.loads(json.dumps(result))}

    def items(self, sort_key_prefix: str) -> list[dict[str, Any]]:
        found = self.deployment.client("dynamodb").scan(TableName=TABLE_NAME)["Items"]
        plain = [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in found]
        kind = [item for item in plain if item["sk"].startswith(sort_key_prefix)]
        return sorted(kind, key=lambda item: (item["pk"], item["sk"]))

    def waiting_messages(self, queue: str) -> int:
        logical = {
            "delivery": "DeliveryQueue",
            "delivery-dlq": "DeliveryDeadLetterQueue",
            "delivery-failure": "DeliveryFailureQueue",
            "change-dlq": "ChangeDeadLetterQueue",
            "outbound-failure": "OutboundFailureQueue",
            "copy": "CopyQueue",
            "copy-failure": "CopyFailureQueue",
        }[queue]
        states = ("", "NotVisible", "Delayed")
        names = [f"ApproximateNumberOfMessages{state}" for state in states]
        attributes = self.deployment.client("sqs").get_queue_attributes(
            QueueUrl=self.deployment.values[logical], AttributeNames=names
        )["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def repeat(self, record: dict[str, Any]) -> None:
        self.edges("api").participant_queue.send(unpack_provisioning(record))

    def lose_messages(self) -> None:
        self.deployment.client("sqs").purge_queue(QueueUrl=self.deployment.values["ParticipantQueue"])


class MotoInstance(AwsInstance):
    """Runs Convoke's AWS engine on moto.

    This class reads the stream records from internal attributes of moto, and does not call the API of the stream.
    """

    _read_records = 0

    def new_records(self) -> list[dict[str, Any]]:
        shard = dynamodb_backends["123456789012"][REGION].tables[TABLE_NAME].stream_shard
        assert shard is not None
        records = [item.to_json() for item in shard.items[self._read_records :]]
        self._read_records += len(records)
        return records

    def redrive_copies(self) -> None:
        """Move the only message in the failure queue of copies to the copy queue, as `convoke dlq redrive` does."""
        sqs, values = self.deployment.client("sqs"), self.deployment.values
        letters = SqsDeadLetters(sqs, "copy-failure", values["CopyFailureQueue"], values["CopyQueue"])
        assert letters.redrive(lambda body: body) == 1

    def forget_pauses(self, receives: int | None = None) -> None:
        """Make all messages of the delivery queue and of the copy queue visible now.

        If `receives` is not None, it becomes the receive count of each message.
        """
        queues = sqs_backends["123456789012"][REGION].queues
        for message in (*queues["DeliveryQueue"]._messages, *queues["CopyQueue.fifo"]._messages):
            message.visible_at = message.delayed_until = 0
            if receives is not None:
                message.approximate_receive_count = receives


def make_handler(function: str, edges: AwsEdges) -> Handler:
    """Create the function's handler as a cold start does."""
    module = import_module(f"convoke.aws.handlers.{function}")
    made: Handler = module.make_handler(edges)
    return made


def sqs_record(message: dict[str, Any]) -> dict[str, Any]:
    """Convert a received SQS message to the record that the event source mapping would pass to the function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": attribute["StringValue"], "dataType": attribute["DataType"]}
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:queue",
        "awsRegion": REGION,
    }


def passes_filter(record: dict[str, Any]) -> bool:
    """Return whether the filter of the event source mapping lets the stream record through.

    For each field, the filter lists the allowed values.
    """
    mapping = functions()["event_publisher"]["Events"]["Changes"]["Properties"]
    (wanted,) = mapping["FilterCriteria"]["Filters"]
    return _fits(json.loads(wanted["Pattern"]), record)


def _fits(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, list):
        return value in pattern
    return isinstance(value, dict) and all(_fits(part, value.get(name)) for name, part in pattern.items())


def one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `call` so that it runs in only one thread at a time.

    moto copies the whole table in each transaction. The copy fails if another thread writes at the same time, and the
    sweeper uses several threads.
    """
    lock = Lock()

    def locked(*arguments: Any) -> Any:
        with lock:
            return call(*arguments)

    return locked


@contextmanager
def moto_instance(**edges: Any) -> Iterator[MotoInstance]:
    """Run an instance on moto until the block ends.

    Each keyword argument replaces the edge with that name in every function. See `AwsInstance.edges`.
    """
    with pytest.MonkeyPatch.context() as environ, mock_aws():
        environ.setattr(DynamoHandler, "call_action", one_at_a_time(DynamoHandler.call_action))
        for name, value in CREDENTIALS.items():
            environ.setenv(name, value)
        deployment = Deployment()
        deployment.deploy()
        instance = MotoInstance(deployment, Receivers())
        for function, (name, edge) in product(functions(), edges.items()):
            setattr(instance.edges(function), name, edge)
        yield instance
