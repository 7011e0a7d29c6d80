"""Provide the two targets of the command line's account commands: a data file, and a stack on moto."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from click.testing import CliRunner, Result
from moto import mock_aws

from convoke.aws.edges import AwsEdges
from convoke.cli.main import main
from convoke.operations.accounts import new_token
from convoke.program import Program
from tests.support.aws import create_api_key_master, create_queues
from tests.support.cloudformation import CloudFormation, cloudformation, output_value, outputs
from tests.support.instances import ORIGIN, Resolve, call, held_instance
from tests.support.tables import TABLE_NAME, table_properties
from tests.support.template import STACK_ID_DIGITS, STACK_NAME, environment, resources

REGION = "eu-central-1"

BUS_NAME = STACK_NAME

VALUES = {"Table": TABLE_NAME, "EventBus": BUS_NAME, "MediaBucket": "media"}
"""Maps logical IDs to physical names. The queues are missing, because moto chooses their URLs."""

FIRST = f"AC{STACK_ID_DIGITS}"
UNKNOWN = "AC" + "0" * 32

NO_AWS_CONFIGURATION: dict[str, str | None] = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": None,
    "AWS_PROFILE": None,
}
"""Environment variables that hide the developer's own AWS configuration from the tests.

A variable with the value None is removed.
"""


@dataclass(frozen=True)
class CliTarget:
    """A data file or a stack on which the command line works."""

    options: tuple[str, str]
    """The command-line option that selects the target, and its value. The option is `--data` or `--stack`."""
    api: Callable[[], AbstractContextManager[Resolve]]
    """Returns a context manager that runs the API on the target's data."""
    environ: Mapping[str, str | None]

    @property
    def name_in_messages(self) -> str:
        """Return the name of this target in the command line's messages."""
        option, name = self.options
        return {"--data": name, "--stack": f"the stack {name}"}[option]

    def run(self, *arguments: str, **environ: str | None) -> Result:
        return CliRunner().invoke(main, [*arguments, *self.options], env={**self.environ, **environ})

    def printed(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command that must succeed. Return the printed JSON objects."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def status(self, user: str, password: str) -> int:
        """Return the HTTP status of an API request with these credentials."""
        with self.api() as api:
            return call(api, "GET", f"{ORIGIN}/v1/Services", auth=(user, password)).status


@contextmanager
def data_file_target(data: Path) -> Iterator[CliTarget]:
    @contextmanager
    def api() -> Iterator[Resolve]:
        with held_instance(str(data)) as instance:
            yield instance.api

    yield CliTarget(("--data", str(data)), api, {})


@dataclass(frozen=True)
class StackTarget(CliTarget):
    cloudformation: CloudFormation
    token: str
    """The Auth Token of the first account. In a real deployment, Secrets Manager generates this token."""
    queues: Mapping[str, str]
    """Maps each queue's logical ID to its URL."""

    def client(self, service: Any) -> Any:
        return boto3.client(service, region_name=REGION)

    @property
    def secret(self) -> str:
        """Return the name of the secret that holds the first account's Auth Token."""
        secret = resources("AWS::SecretsManager::Secret")["FirstAuthToken"]
        return output_value(secret["Name"], VALUES)


@contextmanager
def stack_target() -> Iterator[StackTarget]:
    @contextmanager
    def api() -> Iterator[Resolve]:
        yield Program(AwsEdges({**environment("api", {**VALUES, **queues}), "AWS_REGION": REGION})).api.resolve

    with mock_aws(), cloudformation() as served:
        sqs = boto3.client("sqs", region_name=REGION)
        queues = create_queues(sqs)
        served.stacks[STACK_NAME] = outputs({**VALUES, **queues})
        environ = {**NO_AWS_CONFIGURATION, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_CLOUDFORMATION": served.url}
        place = StackTarget(("--stack", STACK_NAME), api, environ, served, new_token(), queues)
        place.client("dynamodb").create_table(TableName=TABLE_NAME, **table_properties())
        place.client("events").create_event_bus(Name=BUS_NAME)
        place.client("secretsmanager").create_secret(Name=place.secret, SecretString=place.token)
        create_api_key_master(place.client("secretsmanager"))
        yield place


def refusal(result: Result) -> str:
    """Return the error message of a failed command. Check that the command printed nothing else."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line
