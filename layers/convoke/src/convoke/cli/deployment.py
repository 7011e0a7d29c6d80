"""Open the AWS deployment that has a given stack name. boto3 finds the credentials."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from convoke.aws.edges import AwsEdges
from convoke.cli.aws_errors import aws_error_text
from convoke.cli.sqs_dead_letters import SqsDeadLetters, SqsLetters
from convoke.operations.accounts import AccountOperations
from convoke.program import Program

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

FIRST_ACCOUNT = "AccountSid"
"""The name of the stack output that contains the SID of the account that the template declares."""

OUTPUTS = {
    "CONVOKE_TABLE_NAME": "TableName",
    "CONVOKE_FIRST_ACCOUNT_SID": FIRST_ACCOUNT,
    "CONVOKE_AUTH_TOKEN_PREFIX": "AuthTokenPrefix",
    "CONVOKE_API_KEY_MASTER_SECRET": "ApiKeyMasterSecret",
    "CONVOKE_SENDER_SECRET_PREFIX": "SenderSecretPrefix",
    "CONVOKE_DELIVERY_QUEUE_URL": "DeliveryQueueUrl",
    "CONVOKE_EVENT_BUS_NAME": "EventBusName",
}
"""Maps environment variables of the program to the names of the stack outputs that contain their values.

CONVOKE_STACK_NAME and AWS_REGION have no stack output. `open_deployment` adds these two variables.
"""

QUEUES = (
    ("participant", "ParticipantQueueUrl", "ParticipantDeadLetterQueueUrl"),
    ("delivery", "DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl"),
    ("delivery-failure", "DeliveryQueueUrl", "DeliveryFailureQueueUrl"),
    ("outbound-failure", "OutboundQueueUrl", "OutboundFailureQueueUrl"),
    ("copy-failure", "CopyQueueUrl", "CopyFailureQueueUrl"),
)
"""The dead-letter queues whose messages an operator can move back. Each entry has three parts:

- the name that the commands print
- the stack output with the URL of the original queue
- the stack output with the URL of the dead-letter queue

The delivery queue has two dead-letter queues:

- `delivery`: the deliveries that receivers did not accept
- `delivery-failure`: the queue messages that Convoke or EventBridge failed to process
"""

CHANGE_DEAD_LETTERS = "ChangeDeadLetterQueueUrl"
"""The stack output with the URL of the dead-letter queue for the table's stream."""


class DeploymentError(Exception):
    """The stack does not exist or is not usable, or AWS returned an error. The error text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack, and a program that uses the stack's table, secrets and queues."""

    program: Program
    outputs: Mapping[str, str]
    region: str

    def dead_letters(self) -> list[SqsDeadLetters]:
        return [
            SqsDeadLetters(self._sqs(), name, self.outputs[dead_letter_queue], self.outputs[queue])
            for name, queue, dead_letter_queue in QUEUES
        ]

    def change_dead_letters(self) -> SqsLetters:
        return SqsLetters(self._sqs(), "change", self.outputs[CHANGE_DEAD_LETTERS])

    def _sqs(self) -> SQSClient:
        return boto3.Session(region_name=self.region).client("sqs")


@contextmanager
def open_deployment(stack: str) -> Iterator[Deployment]:
    """Open the deployment of a stack. If the account that the template declares does not exist, create the account.

    Raise DeploymentError if the stack is missing or unusable, or if AWS reports an error, also inside the `with` block.
    """
    with _aws_errors():
        cloudformation = _cloudformation_client()
        outputs, region = _stack_outputs(cloudformation, stack), cloudformation.meta.region_name
        environ = {variable: outputs[output] for variable, output in OUTPUTS.items()}
        program = Program(AwsEdges({**environ, "CONVOKE_STACK_NAME": stack, "AWS_REGION": region}))
        _create_first_account(program.accounts, outputs[FIRST_ACCOUNT])
        yield Deployment(program, outputs, region)


class PrunedFunction(NamedTuple):
    function: str
    kept: list[str]
    """The remaining versions, oldest first. Old versions to which an alias refers also remain."""
    deleted: list[str]


def prune_versions(stack: str, keep: int) -> Iterator[PrunedFunction]:
    """Delete old versions of each function in a stack. Yield a result for each function.

    Keep the last `keep` versions, and the versions to which an alias refers. Raise DeploymentError if the stack is
    missing or unusable, or if AWS reports an error.
    """
    with _aws_errors():
        cloudformation = _cloudformation_client()
        _stack_outputs(cloudformation, stack)
        client = boto3.Session(region_name=cloudformation.meta.region_name).client("lambda")
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == "AWS::Lambda::Function":
                    yield _prune_function(client, resource["PhysicalResourceId"], keep)


def _prune_function(client: Any, function: str, keep: int) -> PrunedFunction:
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    numbers = [version["Version"] for page in pages for version in page["Versions"] if version["Version"] != "$LATEST"]
    pages = client.get_paginator("list_aliases").paginate(FunctionName=function)
    aliases = [alias for page in pages for alias in page["Aliases"]]
    used = {alias["FunctionVersion"] for alias in aliases}
    used.update(*(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}) for alias in aliases))
    versions = sorted(numbers, key=int)
    deleted = [version for version in versions[:-keep] if version not in used]
    for version in deleted:
        client.delete_function(FunctionName=function, Qualifier=version)
    return PrunedFunction(function, [version for version in versions if version not in deleted], deleted)


@contextmanager
def _aws_errors() -> Iterator[None]:
    """Convert AWS errors in the `with` block to DeploymentError."""
    try:
        yield
    except (BotoCoreError, ClientError, GetParameterError) as error:
        raise DeploymentError(aws_error_text(error)) from error


def _cloudformation_client() -> Any:
    try:
        # Users set AWS_REGION for the AWS CLI and other SDKs, but boto3 ignores AWS_REGION. Therefore pass the value.
        return boto3.Session(region_name=os.environ.get("AWS_REGION") or None).client("cloudformation")
    except ValueError as error:
        # botocore raises ValueError if AWS_ENDPOINT_URL is not a URL.
        raise DeploymentError(str(error)) from error


def _stack_outputs(cloudformation: Any, stack: str) -> Mapping[str, str]:
    if not stack:
        # For an empty name, CloudFormation would describe every stack in the region.
        raise DeploymentError("the name of the stack is empty")
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        # CloudFormation has no specific error code for a missing stack. The code is ValidationError.
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise DeploymentError(f"there is no stack {stack} in {cloudformation.meta.region_name}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", ())}
    required = {*OUTPUTS.values(), *chain.from_iterable(names for _, *names in QUEUES), CHANGE_DEAD_LETTERS}
    if missing := sorted(required - outputs.keys()):
        raise DeploymentError(
            f"the stack {stack} is not a deployment of this version of Convoke:"
            f" its status is {description['StackStatus']}, and it lacks the outputs {', '.join(missing)}"
        )
    return outputs


def _create_first_account(accounts: AccountOperations, account_sid: str) -> None:
    """Create the account that the template declares, unless a request has already created it.

    The deployment creates the secret with the account's Auth Token, but not the account. The first authentication
    creates the account.
    """
    if accounts.accounts.fetch(account_sid) is None and (token := accounts.auth_tokens.fetch(account_sid)):
        accounts.authenticate(account_sid, token)
