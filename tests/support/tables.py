"""Create a table for one test. The table is in memory, in a file, on moto or on MiniStack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

from convoke.aws.dynamodb import DynamoDbTable
from convoke.embedded.sqlite import SqliteTable
from tests.support.template import resources

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE_NAME = "convoke"

GAPS = {
    "dynamodb-on-moto": {
        "true-is-not-1": "compares without types",
        "1-is-not-true": "compares without types",
        "true-is-not-1-inside-a-list": "compares without types",
        "absent-is-not-null": "takes an absent attribute for null",
        "string-is-not-less-than-number": "raises TypeError",
        "number-is-not-less-than-string": "raises TypeError",
        "index-takes-no-number": "stores an index key of any type",
        "index-takes-no-null": "stores an index key of any type",
    },
    "dynamodb-on-ministack": {"twice-on-an-attribute": "applies both actions"},
}
"""Maps an engine to the cases in which the engine behaves differently from DynamoDB.

For each of these engines, a dictionary maps a case of tests/contract/test_table.py to a description of the difference.
The engines are moto 5.2.5 and MiniStack 1.5.33.
"""


@contextmanager
def memory_table() -> Iterator[SqliteTable]:
    table = SqliteTable(":memory:")
    yield table
    table.close()


@contextmanager
def file_table(folder: Path) -> Iterator[SqliteTable]:
    table = SqliteTable(str(folder / "convoke.db"))
    yield table
    table.close()


@contextmanager
def moto_table() -> Iterator[DynamoDbTable]:
    with mock_aws():
        client = dynamodb_client()
        client.create_table(TableName=TABLE_NAME, **table_properties())
        yield DynamoDbTable(client, TABLE_NAME)


@contextmanager
def ministack_table(endpoint_url: str) -> Iterator[DynamoDbTable]:
    client, name = dynamodb_client(endpoint_url), f"{TABLE_NAME}-{token_hex(4)}"
    client.create_table(TableName=name, **table_properties())
    yield DynamoDbTable(client, name)


@cache
def dynamodb_client(endpoint_url: str | None = None) -> DynamoDBClient:
    """Return a DynamoDB client with fake credentials.

    Without `endpoint_url`, only moto or a stubber can answer the client's calls.
    """
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        endpoint_url=endpoint_url,
    )


def table_properties() -> dict[str, Any]:
    """Return the `create_table` parameters for the table in template.yaml, including its stream."""
    properties = resources("AWS::DynamoDB::Table")["Table"]
    names = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    return {**{name: properties[name] for name in names}, "StreamSpecification": stream}
