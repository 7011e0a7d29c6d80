"""Open an AWS deployment by the name of its stack. boto3 finds the credentials."""

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
from convoke.cli.sqs_dead_letters import SqsDeadLetters, SqsLetters
from convoke.operations.accounts import AccountOperations
from convoke.program import Program

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

FIRST_ACCOUNT = "AccountSid"
"""The stack output with the SID of the account that the template declares."""

OUTPUTS = {
    "CONVOKE_TABLE_NAME": "TableName",
    "CONVOKE_FIRST_ACCOUNT_SID": FIRST_ACCOUNT,
    "CONVOKE_AUTH_TOKEN_PREFIX": "AuthTokenPrefix",
    "CONVOKE_API_KEY_MASTER_SECRET": "ApiKeyMasterSecret",
    "CONVOKE_SENDER_SECRET_PREFIX": "SenderSecretPrefix",
    "CONVOKE_DELIVERY_QUEUE_URL": "DeliveryQueueUrl",
    "CONVOKE_EVENT_BUS_NAME": "EventBusName",
}
"""The stack outputs that the commands need. The key is an environment variable of the deployed functions.

The stack output contains the value of this variable.
"""

QUEUES = (
    ("participant", "ParticipantQueueUrl", "ParticipantDeadLetterQueueUrl"),
    ("delivery", "DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl"),
    ("delivery-failure", "DeliveryQueueUrl", "DeliveryFailureQueueUrl"),
    ("outbound-failure", "OutboundQueueUrl", "OutboundFailureQueueUrl"),
    ("copy-failure", "CopyQueueUrl", "CopyFailureQueueUrl"),
)
"""The dead-letter queues whose messages an operator can move back. Each element has three parts.

The first part is the name that the commands print. The second part is the stack output with the URL of the original
queue. The third part is the stack output with the URL of the dead-letter queue.

The delivery queue has two dead-letter queues. The program moves a delivery to the queue `delivery` if the receiver did
not accept the delivery. AWS moves a queue message to the queue `delivery-failure` if the program could not process the
queue message.
"""

CHANGE_DEAD_LETTERS = "ChangeDeadLetterQueueUrl"
"""The stack output with the URL of the dead-letter queue of the table's stream."""


class DeploymentError(Exception):
    """The stack does not exist or is not usable, or AWS returned an error. The error text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack, and the program that uses the table, the secrets and the queues of the stack."""

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
    """Open the deployment of a stack. Raises DeploymentError.

    An error of AWS inside the `with` block is also raised as DeploymentError.
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
    """The versions that still exist, oldest first."""
    deleted: list[str]


def prune_versions(stack: str, keep: int) -> Iterator[PrunedFunction]:
    """Delete the versions of each function of a stack, except the last `keep`. Raises DeploymentError.

    A version to which an alias refers is never deleted.
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
    """Raise every error of AWS inside the `with` block as DeploymentError."""
    try:
        yield
    except (BotoCoreError, ClientError, GetParameterError) as error:
        raise DeploymentError(f"AWS: {' '.join(str(error).split())}") from error


def _cloudformation_client() -> Any:
    try:
        # Pass the value of AWS_REGION, because boto3 itself reads only AWS_DEFAULT_REGION. Users set AWS_REGION for the
        # AWS CLI and other SDKs.
        return boto3.Session(region_name=os.environ.get("AWS_REGION") or None).client("cloudformation")
    except ValueError as error:
        # botocore raises ValueError if AWS_ENDPOINT_URL is not a URL.
        raise DeploymentError(str(error)) from error


def _stack_outputs(cloudformation: Any, stack: str) -> Mapping[str, str]:
    if not stack:
        # If the name is empty, CloudFormation describes every stack in the region.
        raise DeploymentError("the name of the stack is empty")
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        # CloudFormation has no specific error code for a stack that does not exist. It returns ValidationError.
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
    """Create the account that the template declares, unless a request has already created the account.

    The stack itself creates only the secret with the account's Auth Token. The first authentication creates the
    account.
    """
    if accounts.accounts.fetch(account_sid) is None and (token := accounts.auth_tokens.fetch(account_sid)):
        accounts.authenticate(account_sid, token)
