"""Open an AWS deployment by the name of its stack. boto3 finds the credentials."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import boto3
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from convoke.aws.edges import AwsEdges
from convoke.cli.sqs_dead_letters import SqsDeadLetters
from convoke.operations.accounts import AccountOperations
from convoke.program import Program

FIRST_ACCOUNT = "AccountSid"
"""The stack output with the SID of the account that the template declares."""

OUTPUTS = {
    "CONVOKE_TABLE_NAME": "TableName",
    "CONVOKE_FIRST_ACCOUNT_SID": FIRST_ACCOUNT,
    "CONVOKE_AUTH_TOKEN_PREFIX": "AuthTokenPrefix",
    "CONVOKE_DELIVERY_QUEUE_URL": "DeliveryQueueUrl",
}
"""The settings that the commands need. The key is an environment variable of the deployed functions.

The value is the stack output that contains the value of the variable.
"""

QUEUES = (
    ("participant", "ParticipantQueueUrl", "ParticipantDeadLetterQueueUrl"),
    ("delivery", "DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl"),
    ("delivery-failure", "DeliveryQueueUrl", "DeliveryFailureQueueUrl"),
)
"""The dead-letter queues.

Each one has a name for the user, the stack output with the URL of the queue to which messages go back, and the output
with the URL of the dead-letter queue.

The delivery queue has two dead-letter queues. The program puts a delivery that a receiver did not accept into the first
dead-letter queue. AWS puts a message that could not be processed into the second dead-letter queue.
"""


class DeploymentError(Exception):
    """The stack does not exist or is not usable, or AWS returned an error. The error text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack, and the program that uses the table, the secrets and the queues of the stack."""

    program: Program
    outputs: Mapping[str, str]
    region: str

    def dead_letters(self) -> list[SqsDeadLetters]:
        client = boto3.Session(region_name=self.region).client("sqs")
        return [
            SqsDeadLetters(client, name, self.outputs[queue], self.outputs[dead_letter_queue])
            for name, queue, dead_letter_queue in QUEUES
        ]


@contextmanager
def open_deployment(stack: str) -> Iterator[Deployment]:
    """Open the deployment of a stack. Raises DeploymentError.

    An error of AWS inside the `with` block is also raised as DeploymentError.
    """
    try:
        cloudformation = _cloudformation_client()
        outputs, region = _stack_outputs(cloudformation, stack), cloudformation.meta.region_name
        environ = {variable: outputs[output] for variable, output in OUTPUTS.items()}
        program = Program(AwsEdges({**environ, "CONVOKE_STACK_NAME": stack, "AWS_REGION": region}))
        _create_first_account(program.accounts, outputs[FIRST_ACCOUNT])
        yield Deployment(program, outputs, region)
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
    required = {*OUTPUTS.values(), *chain.from_iterable(names for _, *names in QUEUES)}
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
