"""Prepare an existing DynamoDB table for a new stack.

The table belonged to a deleted stack, or was restored from a backup. A restored table has the items of the original
table, and also the indexes unless the operator excludes the indexes. A restored table has no stream, no time to live,
no point-in-time recovery and no deletion protection. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from convoke.aws.dynamodb import DynamoDbTable
from convoke.aws.secrets import SecretApiKeyMasters
from convoke.cli.aws_errors import aws_error_text
from convoke.domain.accounts import Account
from convoke.storage.accounts import AccountRepository
from convoke.storage.keys import INDEXES
from convoke.storage.table import EXPIRES_AT, Key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef
    from mypy_boto3_secretsmanager import SecretsManagerClient

STREAM_VIEW_TYPE: Final = "NEW_IMAGE"

POLL_SECONDS = 2
MAX_POLLS = 300

API_KEY_MASTER = "api-key-master"
"""The last part of the name of the secret that contains the master secrets of API keys.

The whole name consists of the text before AUTH_TOKENS in the secret prefix, a slash, and this last part.
"""
AUTH_TOKENS = "/auth-tokens/"


class ExistingTableError(Exception):
    """The table cannot be prepared, or AWS returned an error. The error text is one line for the user."""


def prepare(name: str, secret_prefix: str) -> dict[str, str]:
    """Turn on the settings that a restored table lacks. Return the template parameters for a stack with this table.

    `name` is the name of the table. `secret_prefix` is the text before the Account SID in the names of the Auth Token
    secrets.

    Raise ExistingTableError if the table cannot be prepared. If the table or a secret is unsuitable, nothing is
    changed.
    """
    try:
        # boto3 itself ignores AWS_REGION, so pass the value.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        dynamodb = session.client("dynamodb")
        _check_table(_description(dynamodb, name))
        accounts = AccountRepository(DynamoDbTable(dynamodb, name)).list()
        if not accounts:
            raise ExistingTableError(f"the table {name} contains no account")
        _check_secrets(session.client("secretsmanager"), secret_prefix, accounts)
        _turn_on_settings(dynamodb, name)
        stream = _description(dynamodb, name)["LatestStreamArn"]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise ExistingTableError(aws_error_text(error)) from error
    return {
        "ExistingTableName": name,
        "ExistingTableStreamArn": stream,
        "SecretPrefix": secret_prefix,
        "FirstAccountSid": accounts[0].sid,
    }


def _description(dynamodb: DynamoDBClient, name: str) -> TableDescriptionTypeDef:
    try:
        return dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException as error:
        raise ExistingTableError(f"there is no table {name} in {dynamodb.meta.region_name}") from error


def _check_table(description: TableDescriptionTypeDef) -> None:
    """Raise ExistingTableError if the table lacks keys or indexes that this version of Convoke requires.

    The stream may be off. A stream that is on must have the view type STREAM_VIEW_TYPE.
    """
    found = {index["IndexName"]: _key_names(index) for index in description.get("GlobalSecondaryIndexes", ())}
    missing = [index.name for index in INDEXES if found.get(index.name) != (index.partition, index.sort)]
    if _key_names(description) != Key._fields:
        raise ExistingTableError(f"the table {description['TableName']} is not a table of Convoke")
    if missing:
        raise ExistingTableError(
            f"the table {description['TableName']} lacks the indexes {', '.join(missing)}. Restore the table with"
            " its indexes."
        )
    stream = description.get("StreamSpecification", {})
    if stream.get("StreamEnabled") and stream.get("StreamViewType") != STREAM_VIEW_TYPE:
        raise ExistingTableError(
            f"the stream of the table {description['TableName']} does not have the view type {STREAM_VIEW_TYPE}"
        )


def _key_names(schema: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the partition key and the sort key of a table or an index."""
    by_type = {key["KeyType"]: key["AttributeName"] for key in schema["KeySchema"]}  # type: ignore[attr-defined]
    return tuple(by_type[key_type] for key_type in ("HASH", "RANGE") if key_type in by_type)


def _check_secrets(client: SecretsManagerClient, prefix: str, accounts: list[Account]) -> None:
    """Raise ExistingTableError if an account's secret or the secret with the master secrets is missing or unusable."""
    for account in accounts:
        _check_secret(client, f"{prefix}{account.sid}")
    # template.yaml builds the name of this secret in the same way.
    master = f"{prefix.partition(AUTH_TOKENS)[0]}/{API_KEY_MASTER}"
    _check_secret(client, master)
    try:
        SecretApiKeyMasters(client, master).fetch()
    except (KeyError, ValueError) as error:
        raise ExistingTableError(f"the secret {master} does not contain the master secrets of API keys") from error


def _check_secret(client: SecretsManagerClient, name: str) -> None:
    """Raise ExistingTableError if a secret does not exist or is scheduled for deletion."""
    try:
        description = client.describe_secret(SecretId=name)
    except client.exceptions.ResourceNotFoundException as error:
        raise ExistingTableError(
            f"there is no secret {name}. Set --secret-prefix to the prefix of the table's secrets."
        ) from error
    if "DeletedDate" in description:
        raise ExistingTableError(f"the secret {name} is about to be deleted. Restore the secret first.")


def _turn_on_settings(dynamodb: DynamoDBClient, name: str) -> None:
    """Turn on each setting that is off. After each `update_table`, wait until the table is active again."""
    description = _description(dynamodb, name)
    if not description.get("StreamSpecification", {}).get("StreamEnabled"):
        dynamodb.update_table(
            TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": STREAM_VIEW_TYPE}
        )
        _wait_until_active(dynamodb, name)
    if not description.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=True)
        _wait_until_active(dynamodb, name)
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT}
        )
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def _wait_until_active(dynamodb: DynamoDBClient, name: str) -> None:
    waiter = dynamodb.get_waiter("table_exists")
    waiter.wait(TableName=name, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": MAX_POLLS})
