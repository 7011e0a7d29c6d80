"""`convoke account` on a data file and on a deployment: the same commands, the same answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from convoke.bootstrap import program
from convoke.bootstrap.aws import AwsEdges
from convoke.local.cli import main
from convoke.operations.accounts import new_token
from tests.support.cloudformation import CloudFormation, cloudformation, output_value, outputs
from tests.support.instances import ORIGIN, Resolve, call, held_instance
from tests.support.tables import TABLE_NAME, table_properties
from tests.support.template import STACK_NAME, environment, resources

REGION = "eu-central-1"

VALUES = {"Table": TABLE_NAME, "ParticipantQueue": "queue", "Id": "0123456789abcdef" * 2}
"""What names of the template stand for; `Id` is the digits of the stack's id."""

FIRST = f"AC{VALUES['Id']}"
UNKNOWN = "AC" + "0" * 32

NOWHERE: dict[str, str | None] = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": None,
    "AWS_PROFILE": None,
}
"""Whoever runs the tests has an AWS of their own."""


@dataclass(frozen=True)
class Place:
    """Where accounts are: the options that say so, and an API that has just started there."""

    options: tuple[str, str]
    api: Callable[[], AbstractContextManager[Resolve]]
    environ: Mapping[str, str | None]

    def run(self, *arguments: str, **environ: str | None) -> Result:
        return CliRunner().invoke(main, ["account", *arguments, *self.options], env={**self.environ, **environ})

    def printed(self, *arguments: str) -> list[dict[str, Any]]:
        """What a command prints that ends well."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def status(self, account: Mapping[str, str]) -> int:
        """What the API answers to these credentials."""
        with self.api() as api:
            credentials = (account["sid"], account["auth_token"])
            return call(api, "GET", f"{ORIGIN}/v1/Services", auth=credentials).status


@contextmanager
def on_data(data: Path) -> Iterator[Place]:
    @contextmanager
    def api() -> Iterator[Resolve]:
        with held_instance(str(data)) as instance:
            yield instance.api

    yield Place(("--data", str(data)), api, {})


@dataclass(frozen=True)
class Deployed(Place):
    cloudformation: CloudFormation
    token: str
    """Of the first account, as the deployment makes it."""

    def client(self, service: Any) -> Any:
        return boto3.client(service, region_name=REGION)

    @property
    def secret(self) -> str:
        """The name of the first account's secret."""
        (secret,) = resources("AWS::SecretsManager::Secret").values()
        return output_value(secret["Name"], VALUES)


@contextmanager
def on_stack() -> Iterator[Deployed]:
    @contextmanager
    def api() -> Iterator[Resolve]:
        yield program.api(AwsEdges({**environment("api", VALUES), "AWS_REGION": REGION})).resolve

    with mock_aws(), cloudformation() as served:
        served.stacks[STACK_NAME] = outputs(VALUES)
        environ = {**NOWHERE, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_CLOUDFORMATION": served.url}
        place = Deployed(("--stack", STACK_NAME), api, environ, served, new_token())
        place.client("dynamodb").create_table(TableName=TABLE_NAME, **table_properties())
        place.client("secretsmanager").create_secret(Name=place.secret, SecretString=place.token)
        yield place


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with on_stack() if request.param == "stack" else on_data(tmp_path / "convoke.db") as place:
        yield place


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    with on_stack() as place:
        yield place


def refusal(result: Result) -> str:
    """The one line it is refused with."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


def test_an_account_that_is_made_can_be_used_at_once(place: Place) -> None:
    (created,) = place.printed("create")
    assert set(created) == {
        "sid",
        "date_created",
        "default_chat_service_sid",
        "default_messaging_service_sid",
        "auth_token",
    }
    assert place.status(created) == 200


def test_accounts_are_listed_without_their_tokens(place: Place) -> None:
    (created,) = place.printed("create")
    listed = place.printed("list")
    token = created.pop("auth_token")
    assert created in listed
    assert token not in json.dumps(listed)


def test_a_new_token_takes_the_place_of_the_old_one(place: Place) -> None:
    (created,) = place.printed("create")
    (rotated,) = place.printed("rotate-token", created["sid"])
    assert set(rotated) == {"sid", "auth_token"}
    assert place.status(created) == 401
    assert place.status(rotated) == 200


def test_an_account_that_nobody_knows_gets_no_token(place: Place) -> None:
    place.printed("create")
    told = {"--data": place.options[1], "--stack": f"the stack {STACK_NAME}"}[place.options[0]]
    assert refusal(place.run("rotate-token", UNKNOWN)) == f"Error: there is no account {UNKNOWN} in {told}"


def test_the_account_that_a_deployment_starts_with_is_listed_before_its_first_request(deployed: Deployed) -> None:
    (listed,) = deployed.printed("list")
    assert listed["sid"] == FIRST
    assert deployed.status({"sid": FIRST, "auth_token": deployed.token}) == 200
    assert deployed.printed("list") == [listed]


def test_the_account_that_a_deployment_starts_with_stays_the_oldest(deployed: Deployed) -> None:
    (created,) = deployed.printed("create")
    assert [account["sid"] for account in deployed.printed("list")] == [FIRST, created["sid"]]


def test_the_account_that_a_deployment_starts_with_gets_a_new_token_before_its_first_request(
    deployed: Deployed,
) -> None:
    (rotated,) = deployed.printed("rotate-token", FIRST)
    assert deployed.status({"sid": FIRST, "auth_token": deployed.token}) == 401
    assert deployed.status(rotated) == 200


def test_a_deployment_whose_first_token_is_gone_still_has_its_other_accounts(deployed: Deployed) -> None:
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret, ForceDeleteWithoutRecovery=True)
    (created,) = deployed.printed("create")
    assert [account["sid"] for account in deployed.printed("list")] == [created["sid"]]


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_what_the_environment_says(deployed: Deployed, variable: str) -> None:
    result = deployed.run("list", **{"AWS_REGION": None, variable: REGION})
    assert json.loads(result.stdout)["sid"] == FIRST
    assert deployed.cloudformation.regions == [REGION]


def test_a_data_file_and_a_stack_exclude_each_other(deployed: Deployed, tmp_path: Path) -> None:
    for arguments in (["list"], ["create"], ["rotate-token", FIRST]):
        line = refusal(deployed.run(*arguments, "--data", str(tmp_path / "convoke.db")))
        assert line == "Error: --data and --stack exclude each other"
    assert list(tmp_path.iterdir()) == []


def test_a_stack_that_does_not_exist_is_one_clear_line(deployed: Deployed) -> None:
    deployed.cloudformation.stacks.clear()
    assert refusal(deployed.run("list")) == f"Error: there is no stack {STACK_NAME} in {REGION}"


def test_a_stack_without_a_name_is_one_clear_line(deployed: Deployed) -> None:
    nameless = replace(deployed, options=("--stack", ""))
    assert refusal(nameless.run("list")) == "Error: the name of the stack is empty"


def test_another_stack_is_one_clear_line(deployed: Deployed) -> None:
    deployed.cloudformation.stacks[STACK_NAME] = {"TableName": "of something else"}
    line = refusal(deployed.run("create"))
    assert line.startswith(f"Error: the stack {STACK_NAME} is no Convoke of this version")
    assert line.endswith("CREATE_COMPLETE, without AccountSid, AuthTokenPrefix")


MISCONFIGURED: dict[str, tuple[dict[str, str | None], str]] = {
    "no-credentials": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "credentials"),
    "half-of-the-credentials": ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY"),
    "no-region": ({"AWS_REGION": None}, "region"),
    "an-empty-region": ({"AWS_REGION": ""}, "region"),
    "no-such-profile": ({"AWS_PROFILE": "nobody"}, "nobody"),
    "an-endpoint-that-is-no-url": ({"AWS_ENDPOINT_URL_CLOUDFORMATION": "localhost"}, "localhost"),
    "nobody-listens": ({"AWS_ENDPOINT_URL_CLOUDFORMATION": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, ":9/"),
}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_an_environment_that_does_not_lead_to_aws_is_one_clear_line(deployed: Deployed, case: str) -> None:
    environ, named = MISCONFIGURED[case]
    line = refusal(deployed.run("list", **environ))
    assert line.startswith("Error: ")
    assert named in line


def test_a_refusal_by_aws_is_one_clear_line(deployed: Deployed) -> None:
    deployed.cloudformation.refusal = (403, "AccessDenied", "User: me\n is not authorized")
    line = refusal(deployed.run("list"))
    assert "AccessDenied" in line
    assert line.endswith("User: me is not authorized")


@pytest.mark.parametrize("arguments", [["list"], ["create"], ["rotate-token", FIRST]])
def test_a_refusal_behind_the_stack_is_one_clear_line(deployed: Deployed, arguments: list[str]) -> None:
    # A secret that waits for its deletion can neither be read nor written.
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret)
    assert "GetSecretValue" in refusal(deployed.run(*arguments))
    deployed.client("dynamodb").delete_table(TableName=TABLE_NAME)
    assert "ResourceNotFoundException" in refusal(deployed.run(*arguments))
