"""`convoke versions prune` deletes old versions of a deployment's functions."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tests.support.cli_targets import StackTarget, refusal


def add_function(deployed: StackTarget, name: str, versions: int) -> Any:
    """Add a function with `versions` published versions to the stack. Return a Lambda client."""
    iam, client = deployed.client("iam"), deployed.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for number in range(versions):
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", f"# {number}")
        if number == 0:
            client.create_function(
                FunctionName=name, Runtime="python3.13", Role=role, Handler="app.f", Code={"ZipFile": code.getvalue()}
            )
        client.update_function_code(FunctionName=name, ZipFile=code.getvalue())
        client.publish_version(FunctionName=name)
    deployed.cloudformation.functions.append(name)
    return client


def versions_of(client: Any, name: str) -> list[str]:
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    return [version["Version"] for version in listed]


def test_prune_keeps_the_last_two_versions_of_each_function(deployed: StackTarget) -> None:
    client = add_function(deployed, "first", 11)
    add_function(deployed, "second", 1)
    deleted = [str(number) for number in range(1, 10)]
    assert deployed.printed("versions", "prune") == [
        {"function": "first", "kept": ["10", "11"], "deleted": deleted},
        {"function": "second", "kept": ["1"], "deleted": []},
    ]
    assert sorted(versions_of(client, "first")) == ["$LATEST", "10", "11"]
    assert versions_of(client, "second") == ["$LATEST", "1"]


def test_prune_keeps_a_version_that_an_alias_uses(deployed: StackTarget) -> None:
    client = add_function(deployed, "first", 5)
    client.create_alias(
        FunctionName="first",
        Name="live",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"3": 0.1}},
    )
    (pruned,) = deployed.printed("versions", "prune")
    assert (pruned["kept"], pruned["deleted"]) == (["2", "3", "4", "5"], ["1"])


def test_unknown_stack_is_reported_in_one_line(deployed: StackTarget) -> None:
    deployed.cloudformation.stacks.clear()
    assert refusal(deployed.run("versions", "prune")).startswith("Error: there is no stack")
