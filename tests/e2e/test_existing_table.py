"""A new stack can use the table of a deleted stack, or a restored table. MiniStack runs the stacks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from twilio.rest import Client
from twilio.rest.conversations.v1 import V1

from convoke.cli.main import main
from convoke.cli.ministack import REGION, Stack, bootstrap_script, deploy, ministack
from tests.support.examples import chat
from tests.support.template import functions

pytestmark = [pytest.mark.xdist_group("existing-table"), pytest.mark.timeout(300)]

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Kept:
    """A deleted stack whose table and secrets still exist, and the SID of a conversation in the table.

    `bootstrap` is the script with which `deploy` runs the functions of the next stacks.
    """

    stack: Stack
    bootstrap: str
    conversation_sid: str


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Deploy a stack, create a conversation, and delete the stack."""
    folder: Path = tmp_path_factory.mktemp("ministack")
    with ministack(folder) as url:
        bootstrap = bootstrap_script(folder / "runtime-client")
        stack = deploy(url, bootstrap, "first")
        created = v1(stack).conversation_with_participants.create(unique_name="visit", participant=chat(1))
        wait_until_active(v1(stack), created.sid)
        cloudformation = stack.client("cloudformation")
        cloudformation.delete_stack(StackName="first")
        cloudformation.get_waiter("stack_delete_complete").wait(StackName="first", WaiterConfig={"Delay": 1})
        yield Kept(stack, bootstrap, created.sid)


def v1(stack: Stack, account_sid: str | None = None, auth_token: str | None = None) -> V1:
    client = Client(account_sid or stack.account_sid, auth_token or stack.auth_token)
    client.conversations.base_url = stack.url
    return client.conversations.v1


def wait_until_active(api: V1, sid: str) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while api.conversations(sid).fetch().state != "active":
        assert time.monotonic() < until
        time.sleep(0.1)


def prepare(endpoint_url: str, table: str, secret_prefix: str) -> dict[str, str]:
    """Run `convoke table prepare`. Return the printed parameters."""
    environ = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    arguments = ["table", "prepare", table, "--secret-prefix", secret_prefix]
    result = CliRunner().invoke(main, arguments, env=environ, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def restore(dynamodb: Any, table: str) -> str:
    restored = f"{table}-restored"
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=restored, UseLatestRestorableTime=True
    )
    dynamodb.get_waiter("table_exists").wait(TableName=restored)
    return restored


@pytest.mark.parametrize("origin", ["kept", "restored"])
def test_stack_on_an_existing_table_has_its_accounts_and_conversations(kept: Kept, origin: str) -> None:
    table = kept.stack.outputs["TableName"]
    if origin == "restored":
        table = restore(kept.stack.client("dynamodb"), table)
    parameters = prepare(kept.stack.endpoint_url, table, kept.stack.outputs["AuthTokenPrefix"])
    adopted = deploy(kept.stack.endpoint_url, kept.bootstrap, f"on-{origin}", parameters)
    assert adopted.outputs["TableName"] == table
    assert adopted.account_sid == kept.stack.account_sid
    api = v1(adopted, kept.stack.account_sid, kept.stack.auth_token)
    assert api.conversations("visit").fetch().sid == kept.conversation_sid
    created = api.conversation_with_participants.create(participant=chat(2))
    wait_until_active(api, created.sid)


def test_deployment_puts_a_restored_table_in_the_place_of_the_table_of_the_stack(kept: Kept) -> None:
    stack = deploy(kept.stack.endpoint_url, kept.bootstrap, "first-again")
    v1(stack).conversations.create(unique_name="visit")
    table = stack.outputs["TableName"]
    restored = restore(stack.client("dynamodb"), table)
    parameters = prepare(stack.endpoint_url, restored, stack.outputs["AuthTokenPrefix"])
    update(stack, parameters)
    description = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    assert (outputs["TableName"], outputs["AccountSid"]) == (restored, stack.account_sid)
    # The old table and its secret still exist, although the stack no longer declares them.
    assert stack.client("dynamodb").describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE"
    # On AWS, the new table name changes the description of the layer. CloudFormation then replaces the layer, and
    # publishes a new version of the API function. MiniStack does not replace the layer, so the API still runs the old
    # version with the old table. Therefore this test checks only the unpublished configurations of the functions.
    deployed = stack.client("lambda").list_functions()["Functions"]
    ours = [each for each in deployed if each["FunctionName"].startswith(stack.name)]
    tables = [each["Environment"]["Variables"].get("CONVOKE_TABLE_NAME", restored) for each in ours]
    assert tables == [restored] * len(functions())


def update(stack: Stack, parameters: dict[str, str]) -> None:
    """Update some parameters of a stack. The other parameters keep their values."""
    cloudformation = stack.client("cloudformation")
    described = cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]["Parameters"]
    names = {parameter["ParameterKey"] for parameter in described} - set(parameters)
    cloudformation.update_stack(
        StackName=stack.name,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            *({"ParameterKey": name, "UsePreviousValue": True} for name in names),
            *({"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()),
        ],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack.name, WaiterConfig={"Delay": 1})


def test_stack_with_only_some_parameters_of_an_existing_table_is_refused(kept: Kept) -> None:
    with pytest.raises(Exception, match="ExistingTableStreamArn"):
        deploy(kept.stack.endpoint_url, kept.bootstrap, "partial", {"ExistingTableName": "kept"})
