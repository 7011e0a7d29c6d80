"""`convoke table prepare` prepares an existing table for a new stack.

The table was kept when its stack was deleted, or was restored from a backup. These tests use moto.
"""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from convoke.cli.existing_table import STREAM_VIEW_TYPE
from convoke.cli.main import main
from convoke.storage.table import EXPIRES_AT
from tests.support.cli_targets import FIRST, REGION, StackTarget, refusal
from tests.support.tables import TABLE_NAME, table_properties
from tests.support.template import template

PREFIX = "convoke/auth-tokens/"

MASTER = "convoke/api-key-master"

RESTORED = "restored"


@pytest.fixture
def restored(deployed: StackTarget) -> StackTarget:
    """Create the table RESTORED, a copy of a stack's table, as a DynamoDB restore does. Return the stack.

    The stack has two accounts. RESTORED has no stream, and its protection, expiry and recovery are off.
    """
    deployed.printed("account", "create")
    client = deployed.client("dynamodb")
    properties = {name: value for name, value in table_properties().items() if name != "StreamSpecification"}
    client.create_table(TableName=RESTORED, **properties)
    for item in client.scan(TableName=TABLE_NAME)["Items"]:
        client.put_item(TableName=RESTORED, Item=item)
    return deployed


def prepare(target: StackTarget, *arguments: str, **environ: str | None) -> Result:
    """Run `convoke table prepare` in the target's environment, without `--data` and `--stack`."""
    return CliRunner().invoke(main, ["table", "prepare", *arguments], env={**target.environ, **environ})


def settings(target: StackTarget, table: str) -> dict[str, Any]:
    client = target.client("dynamodb")
    description = client.describe_table(TableName=table)["Table"]
    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return {
        "stream": description.get("StreamSpecification"),
        "protection": description.get("DeletionProtectionEnabled"),
        "expiry": client.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
        "recovery": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def test_prepare_turns_settings_on_and_prints_the_parameters(restored: StackTarget) -> None:
    result = prepare(restored, RESTORED)
    stream = restored.client("dynamodb").describe_table(TableName=RESTORED)["Table"]["LatestStreamArn"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"ExistingTableName={RESTORED}",
        f"ExistingTableStreamArn={stream}",
        f"SecretPrefix={PREFIX}",
        f"FirstAccountSid={FIRST}",
    ]
    prepared = settings(restored, RESTORED)
    assert prepared == {
        "stream": {"StreamEnabled": True, "StreamViewType": STREAM_VIEW_TYPE},
        "protection": True,
        "expiry": {"AttributeName": EXPIRES_AT, "TimeToLiveStatus": "ENABLED"},
        "recovery": "ENABLED",
    }
    assert prepare(restored, RESTORED).stdout == result.stdout
    assert settings(restored, RESTORED) == prepared


def test_prepared_settings_are_those_of_the_template() -> None:
    table = template()["Resources"]["Table"]["Properties"]
    assert table["StreamSpecification"] == {"StreamViewType": STREAM_VIEW_TYPE}
    assert table["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    printed = {"ExistingTableName", "ExistingTableStreamArn", "SecretPrefix", "FirstAccountSid"}
    assert printed <= set(template()["Parameters"])


def test_unknown_table_is_refused(restored: StackTarget) -> None:
    assert refusal(prepare(restored, "nothing")) == f"Error: there is no table nothing in {REGION}"


def test_table_without_accounts_is_refused(deployed: StackTarget) -> None:
    assert refusal(prepare(deployed, TABLE_NAME)) == f"Error: the table {TABLE_NAME} contains no account"


def test_table_of_another_program_is_refused(restored: StackTarget) -> None:
    restored.client("dynamodb").create_table(
        TableName="other",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    assert refusal(prepare(restored, "other")) == "Error: the table other is not a table of Convoke"


def test_table_that_was_restored_without_an_index_is_refused(restored: StackTarget) -> None:
    properties = table_properties()
    indexes = [index for index in properties["GlobalSecondaryIndexes"] if index["IndexName"] != "due"]
    names = {key["AttributeName"] for each in (properties, *indexes) for key in each["KeySchema"]}
    attributes = [each for each in properties["AttributeDefinitions"] if each["AttributeName"] in names]
    properties |= {"GlobalSecondaryIndexes": indexes, "AttributeDefinitions": attributes}
    restored.client("dynamodb").create_table(TableName="partial", **properties)
    assert refusal(prepare(restored, "partial")).startswith("Error: the table partial lacks the indexes due.")


def test_stream_with_another_view_type_is_refused(restored: StackTarget) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    restored.client("dynamodb").update_table(TableName=RESTORED, StreamSpecification=stream)
    assert refusal(prepare(restored, RESTORED)).endswith("does not have the view type NEW_IMAGE")


def test_missing_secret_is_refused_and_changes_nothing(restored: StackTarget) -> None:
    before = settings(restored, RESTORED)
    line = refusal(prepare(restored, RESTORED, "--secret-prefix", "other/"))
    assert line.startswith(f"Error: there is no secret other/{FIRST}.")
    assert settings(restored, RESTORED) == before


def test_secret_that_is_about_to_be_deleted_is_refused(restored: StackTarget) -> None:
    restored.client("secretsmanager").delete_secret(SecretId=restored.secret)
    assert refusal(prepare(restored, RESTORED)).endswith("is about to be deleted. Restore the secret first.")


def test_missing_master_secret_of_api_keys_is_refused_and_changes_nothing(restored: StackTarget) -> None:
    before, secrets = settings(restored, RESTORED), restored.client("secretsmanager")
    secrets.delete_secret(SecretId=MASTER)
    assert refusal(prepare(restored, RESTORED)) == (
        f"Error: the secret {MASTER} is about to be deleted. Restore the secret first."
    )
    secrets.restore_secret(SecretId=MASTER)
    secrets.delete_secret(SecretId=MASTER, ForceDeleteWithoutRecovery=True)
    assert refusal(prepare(restored, RESTORED)).startswith(f"Error: there is no secret {MASTER}. Set --secret-prefix")
    assert settings(restored, RESTORED) == before


@pytest.mark.parametrize("content", ["secret", "{}", '{"current": 1, "1": null}'])
def test_master_secret_that_cannot_be_read_is_refused(restored: StackTarget, content: str) -> None:
    restored.client("secretsmanager").put_secret_value(SecretId=MASTER, SecretString=content)
    assert refusal(prepare(restored, RESTORED)) == (
        f"Error: the secret {MASTER} does not contain the master secrets of API keys"
    )


def test_error_of_aws_is_reported_in_one_line(restored: StackTarget) -> None:
    assert "AWS: " in refusal(prepare(restored, RESTORED, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None))


def test_missing_region_is_reported_with_the_variable_that_sets_it(restored: StackTarget) -> None:
    assert "set AWS_REGION" in refusal(prepare(restored, RESTORED, AWS_REGION=None))
