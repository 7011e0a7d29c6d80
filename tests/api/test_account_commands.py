"""`convoke account` works on a data file and on a deployed stack, and reports AWS errors in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.cli_targets import FIRST, REGION, UNKNOWN, CliTarget, StackTarget, refusal
from tests.support.tables import TABLE_NAME
from tests.support.template import STACK_NAME


def test_account_create_prints_usable_credentials(place: CliTarget) -> None:
    (created,) = place.printed("account", "create")
    assert set(created) == {
        "sid",
        "date_created",
        "default_chat_service_sid",
        "default_messaging_service_sid",
        "auth_token",
    }
    assert place.status(created["sid"], created["auth_token"]) == 200


def test_account_list_prints_no_tokens(place: CliTarget) -> None:
    (created,) = place.printed("account", "create")
    listed = place.printed("account", "list")
    token = created.pop("auth_token")
    assert created in listed
    assert token not in json.dumps(listed)


def test_rotate_token_replaces_old_token(place: CliTarget) -> None:
    (created,) = place.printed("account", "create")
    (rotated,) = place.printed("account", "rotate-token", created["sid"])
    assert set(rotated) == {"sid", "auth_token"}
    assert place.status(created["sid"], created["auth_token"]) == 401
    assert place.status(rotated["sid"], rotated["auth_token"]) == 200


def test_rotate_token_of_unknown_account_fails(place: CliTarget) -> None:
    place.printed("account", "create")
    line = refusal(place.run("account", "rotate-token", UNKNOWN))
    assert line == f"Error: there is no account {UNKNOWN} in {place.name_in_messages}"


def test_first_account_of_deployment_is_listed_before_first_request(deployed: StackTarget) -> None:
    (listed,) = deployed.printed("account", "list")
    assert listed["sid"] == FIRST
    assert deployed.status(FIRST, deployed.token) == 200
    assert deployed.printed("account", "list") == [listed]


def test_first_account_of_deployment_stays_the_oldest(deployed: StackTarget) -> None:
    (created,) = deployed.printed("account", "create")
    assert [account["sid"] for account in deployed.printed("account", "list")] == [FIRST, created["sid"]]


def test_rotate_token_of_first_account_works_before_first_request(
    deployed: StackTarget,
) -> None:
    (rotated,) = deployed.printed("account", "rotate-token", FIRST)
    assert deployed.status(FIRST, deployed.token) == 401
    assert deployed.status(rotated["sid"], rotated["auth_token"]) == 200


def test_account_list_works_after_first_token_secret_is_deleted(deployed: StackTarget) -> None:
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret, ForceDeleteWithoutRecovery=True)
    (created,) = deployed.printed("account", "create")
    assert [account["sid"] for account in deployed.printed("account", "list")] == [created["sid"]]


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_region_is_read_from_environment(deployed: StackTarget, variable: str) -> None:
    result = deployed.run("account", "list", **{"AWS_REGION": None, variable: REGION})
    assert json.loads(result.stdout)["sid"] == FIRST
    assert deployed.cloudformation.regions == [REGION]


def test_data_and_stack_options_exclude_each_other(deployed: StackTarget, tmp_path: Path) -> None:
    for arguments in (["list"], ["create"], ["rotate-token", FIRST]):
        line = refusal(deployed.run("account", *arguments, "--data", str(tmp_path / "convoke.db")))
        assert line == "Error: --data and --stack cannot be used together"
    assert list(tmp_path.iterdir()) == []


def test_missing_stack_is_reported_in_one_line(deployed: StackTarget) -> None:
    deployed.cloudformation.stacks.clear()
    assert refusal(deployed.run("account", "list")) == f"Error: there is no stack {STACK_NAME} in {REGION}"


def test_empty_stack_name_is_reported_in_one_line(deployed: StackTarget) -> None:
    nameless = replace(deployed, options=("--stack", ""))
    assert refusal(nameless.run("account", "list")) == "Error: the name of the stack is empty"


def test_stack_of_another_program_is_reported_in_one_line(deployed: StackTarget) -> None:
    deployed.cloudformation.stacks[STACK_NAME] = {"TableName": "of something else"}
    line = refusal(deployed.run("account", "create"))
    assert line.startswith(f"Error: the stack {STACK_NAME} is not a deployment of this version of Convoke")
    assert (
        "its status is CREATE_COMPLETE, and it lacks the outputs AccountSid, ApiKeyMasterSecret, AuthTokenPrefix, "
        in line
    )


MISCONFIGURED: dict[str, tuple[dict[str, str | None], str]] = {
    "no-credentials": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "credentials"),
    "half-of-the-credentials": ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY"),
    "no-region": ({"AWS_REGION": None}, "set AWS_REGION"),
    "an-empty-region": ({"AWS_REGION": ""}, "set AWS_REGION"),
    "no-such-profile": ({"AWS_PROFILE": "nobody"}, "nobody"),
    "an-endpoint-that-is-no-url": ({"AWS_ENDPOINT_URL_CLOUDFORMATION": "localhost"}, "localhost"),
    "nobody-listens": ({"AWS_ENDPOINT_URL_CLOUDFORMATION": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, ":9/"),
}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_aws_configuration_error_is_reported_in_one_line(deployed: StackTarget, case: str) -> None:
    environ, named = MISCONFIGURED[case]
    line = refusal(deployed.run("account", "list", **environ))
    assert line.startswith("Error: ")
    assert named in line


def test_cloudformation_error_is_reported_in_one_line(deployed: StackTarget) -> None:
    deployed.cloudformation.refusal = (403, "AccessDenied", "User: me\n is not authorized")
    line = refusal(deployed.run("account", "list"))
    assert "AccessDenied" in line
    assert line.endswith("User: me is not authorized")


@pytest.mark.parametrize("arguments", [["list"], ["create"], ["rotate-token", FIRST]])
def test_secrets_manager_and_dynamodb_errors_are_reported_in_one_line(
    deployed: StackTarget, arguments: list[str]
) -> None:
    # Secrets Manager refuses to read or write a secret whose deletion is scheduled.
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret)
    assert "GetSecretValue" in refusal(deployed.run("account", *arguments))
    deployed.client("dynamodb").delete_table(TableName=TABLE_NAME)
    assert "ResourceNotFoundException" in refusal(deployed.run("account", *arguments))
