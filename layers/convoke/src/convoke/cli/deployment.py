"""A deployment on AWS, as its operator reaches it: by the name of its stack, with the credentials boto3 finds."""

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
from convoke.cli.dead_letters import SqsDeadLetters
from convoke.operations.accounts import AccountOperations
from convoke.program import Program

OUTPUTS = {
    "CONVOKE_TABLE_NAME": "TableName",
    "CONVOKE_AUTH_TOKEN_PREFIX": "AuthTokenPrefix",
    "CONVOKE_DELIVERY_QUEUE_URL": "DeliveryQueueUrl",
}
"""The outputs of the template that say what its functions find in these variables."""

QUEUES = {
    "participant": ("ParticipantQueueUrl", "ParticipantDeadLetterQueueUrl"),
    "delivery": ("DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl"),
}
"""The outputs that name each queue and its dead letters."""

FIRST_ACCOUNT = "AccountSid"
"""The output that names the account that a deployment starts with."""


class DeploymentError(Exception):
    """There is no such deployment, or AWS refuses. The message is one line for whoever named it."""


@dataclass(frozen=True, slots=True)
class Deployment:
    program: Program
    outputs: Mapping[str, str]
    region: str

    def dead_letters(self) -> list[SqsDeadLetters]:
        client = boto3.Session(region_name=self.region).client("sqs")
        return [
            SqsDeadLetters(client, name, self.outputs[queue], self.outputs[dead_letters])
            for name, (queue, dead_letters) in QUEUES.items()
        ]


@contextmanager
def deployment_of(stack: str) -> Iterator[Deployment]:
    """Raises DeploymentError, also where AWS refuses what is done with it."""
    try:
        cloudformation = _cloudformation()
        outputs, region = _outputs(cloudformation, stack), cloudformation.meta.region_name
        environ = {variable: outputs[output] for variable, output in OUTPUTS.items()}
        program = Program(AwsEdges({**environ, "CONVOKE_STACK_NAME": stack, "AWS_REGION": region}))
        _make_first(program.accounts, outputs[FIRST_ACCOUNT])
        yield Deployment(program, outputs, region)
    except (BotoCoreError, ClientError, GetParameterError) as error:
        raise DeploymentError(f"AWS: {' '.join(str(error).split())}") from error


def _cloudformation() -> Any:
    try:
        # Other tools of AWS read AWS_REGION; boto3 knows AWS_DEFAULT_REGION only.
        return boto3.Session(region_name=os.environ.get("AWS_REGION") or None).client("cloudformation")
    except ValueError as error:
        # So botocore refuses an AWS_ENDPOINT_URL.
        raise DeploymentError(str(error)) from error


def _outputs(cloudformation: Any, stack: str) -> Mapping[str, str]:
    if not stack:
        # CloudFormation would describe every stack there is.
        raise DeploymentError("the name of the stack is empty")
    try:
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise DeploymentError(f"there is no stack {stack} in {cloudformation.meta.region_name}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
    wanted = {*OUTPUTS.values(), *chain.from_iterable(QUEUES.values()), FIRST_ACCOUNT}
    if missing := sorted(wanted - outputs.keys()):
        status = described["StackStatus"]
        raise DeploymentError(
            f"the stack {stack} is no Convoke of this version: {status}, without {', '.join(missing)}"
        )
    return outputs


def _make_first(accounts: AccountOperations, account_sid: str) -> None:
    """Until its first request, a deployment has made no more of this account than its token."""
    if accounts.accounts.fetch(account_sid) is None and (token := accounts.auth_tokens.fetch(account_sid)):
        accounts.authenticate(account_sid, token)
