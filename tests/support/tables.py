"""Every engine of the Table port, ready for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from moto import mock_aws

from convoke.storage.dynamodb import DynamoDbTable
from convoke.storage.sqlite import SqliteTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
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
}
"""What DynamoDB does and an imitation of it (moto 5.2.5) does not, by the names of the contract's cases."""


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


@cache
def dynamodb_client() -> DynamoDBClient:
    """A client that reaches nothing unless moto or a stubber answers it."""
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        endpoint_url=None,
    )


@cache
def table_properties() -> dict[str, Any]:
    """What `create_table` needs of the table in template.yaml."""
    properties = yaml.load(TEMPLATE.read_text(), _TemplateLoader)["Resources"]["Table"]["Properties"]
    wanted = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
    return {name: properties[name] for name in wanted if name in properties}


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, ...) as whatever they are applied to."""


def _construct_untagged(loader: _TemplateLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_TemplateLoader.add_multi_constructor("!", _construct_untagged)
