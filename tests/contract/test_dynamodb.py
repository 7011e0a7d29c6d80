"""The DynamoDB engine handles conflicts, throttling and partial responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from tenacity import wait_none

from convoke.aws.dynamodb import DynamoDbTable, UnprocessedKeysError
from convoke.storage.keys import DUE
from convoke.storage.table import (
    ConditionFailedError,
    Delete,
    Item,
    Key,
    NotExists,
    Put,
    Set,
    Table,
    TransactionCanceledError,
    Update,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 4
KEY = Key("AC1", "a")
ITEM: Item = {"pk": "AC1", "sk": "a", "number": 1}
ATTRIBUTES = {"pk": {"S": "AC1"}, "sk": {"S": "a"}, "number": {"N": "1"}}

TRANSIENT = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
]

VERBS: dict[str, tuple[str, dict[str, Any], Callable[[Table], object]]] = {
    "get_item": ("get_item", {"Item": ATTRIBUTES}, lambda table: table.get(KEY)),
    "batch_get_item": (
        "batch_get_item",
        {"Responses": {"convoke": [ATTRIBUTES]}, "UnprocessedKeys": {}},
        lambda table: table.get_many([KEY]),
    ),
    "query": ("query", {"Items": [ATTRIBUTES]}, lambda table: table.query("AC1", limit=1)),
    "update_item": (
        "update_item",
        {"Attributes": ATTRIBUTES},
        lambda table: table.update(Update(KEY, (Set("number", 1),))),
    ),
    "transact_write_items": ("transact_write_items", {}, lambda table: table.transact([Put(ITEM)])),
}


@pytest.fixture
def client() -> DynamoDBClient:
    # Switch off the retries of botocore, because they sleep.
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def stubber(client: DynamoDBClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def table(client: DynamoDBClient) -> DynamoDbTable:
    return DynamoDbTable(client, "convoke", wait=wait_none(), attempts=ATTEMPTS)


@pytest.fixture
def tokens(client: DynamoDBClient) -> list[str]:
    """Return a list that will collect the client request token of each transaction."""
    seen: list[str] = []

    def note(params: dict[str, Any], **_: object) -> None:
        seen.append(params["ClientRequestToken"])

    client.meta.events.register("provide-client-params.dynamodb.TransactWriteItems", note)
    return seen


def cancel(stubber: Stubber, *codes: str, item: dict[str, Any] | None = None) -> None:
    reasons = [
        {"Code": code, **({"Item": item} if item and code == "ConditionalCheckFailed" else {})} for code in codes
    ]
    stubber.add_client_error(
        "transact_write_items", "TransactionCanceledException", modeled_fields={"CancellationReasons": reasons}
    )


# Retries


@pytest.mark.parametrize("code", TRANSIENT)
@pytest.mark.parametrize("verb", VERBS)
def test_conflicts_and_throttling_are_retried_on_every_verb(
    table: DynamoDbTable, stubber: Stubber, verb: str, code: str
) -> None:
    operation, answer, call = VERBS[verb]
    stubber.add_client_error(operation, code)
    stubber.add_client_error(operation, code)
    stubber.add_response(operation, answer)
    call(table)


@pytest.mark.parametrize("verb", VERBS)
def test_throttling_on_last_attempt_raises_original_error(table: DynamoDbTable, stubber: Stubber, verb: str) -> None:
    operation, _, call = VERBS[verb]
    for _attempt in range(ATTEMPTS):
        stubber.add_client_error(operation, "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        call(table)


@pytest.mark.parametrize("verb", VERBS)
def test_other_errors_are_not_retried(table: DynamoDbTable, stubber: Stubber, verb: str) -> None:
    operation, _, call = VERBS[verb]
    stubber.add_client_error(operation, "ValidationException")
    with pytest.raises(ClientError, match="ValidationException"):
        call(table)


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_transaction_cancelled_by_conflict_or_throttling_is_retried(
    table: DynamoDbTable, stubber: Stubber, reason: str
) -> None:
    cancel(stubber, "None", reason)
    cancel(stubber, reason, "TransactionConflict")
    stubber.add_response("transact_write_items", {})
    table.transact([Put(ITEM), Delete(Key("AC1", "b"))])


def test_transaction_in_lasting_conflict_raises_original_error(table: DynamoDbTable, stubber: Stubber) -> None:
    for _attempt in range(ATTEMPTS):
        cancel(stubber, "None", "TransactionConflict")
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        table.transact([Put(ITEM), Delete(Key("AC1", "b"))])


def test_failed_condition_beside_conflict_is_retried_for_all_failures(table: DynamoDbTable, stubber: Stubber) -> None:
    cancel(stubber, "TransactionConflict", "ConditionalCheckFailed", "None", item=ATTRIBUTES)
    cancel(stubber, "ConditionalCheckFailed", "ConditionalCheckFailed", "None", item=ATTRIBUTES)
    with pytest.raises(TransactionCanceledError) as failure:
        table.transact([Put(ITEM, NotExists("pk")), Delete(Key("AC1", "b"), NotExists("pk")), Delete(Key("AC1", "c"))])
    assert failure.value.failed == {0: ITEM, 1: ITEM}


def test_failed_condition_beside_lasting_conflict_is_final(table: DynamoDbTable, stubber: Stubber) -> None:
    for _attempt in range(ATTEMPTS):
        cancel(stubber, "TransactionConflict", "ConditionalCheckFailed", "None", item=ATTRIBUTES)
    with pytest.raises(TransactionCanceledError) as failure:
        table.transact([Delete(Key("AC1", "b")), Put(ITEM, NotExists("pk")), Delete(Key("AC1", "c"))])
    assert failure.value.failed == {1: ITEM}


def test_failed_condition_after_conflict_is_final(table: DynamoDbTable, stubber: Stubber) -> None:
    cancel(stubber, "TransactionConflict")
    cancel(stubber, "ConditionalCheckFailed")
    with pytest.raises(TransactionCanceledError) as failure:
        table.transact([Put(ITEM, NotExists("pk"))])
    assert failure.value.failed == {0: None}


def test_transaction_cancelled_for_another_reason_is_not_retried(table: DynamoDbTable, stubber: Stubber) -> None:
    cancel(stubber, "ValidationError", "TransactionConflict")
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        table.transact([Put(ITEM), Delete(Key("AC1", "b"))])


def test_transaction_in_progress_is_retried_with_same_token(
    table: DynamoDbTable, stubber: Stubber, tokens: list[str]
) -> None:
    stubber.add_client_error("transact_write_items", "TransactionInProgressException")
    stubber.add_response("transact_write_items", {})
    table.transact([Put(ITEM, NotExists("pk"))])
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_cancelled_transaction_is_retried_with_new_token(
    table: DynamoDbTable, stubber: Stubber, tokens: list[str]
) -> None:
    cancel(stubber, "TransactionConflict")
    stubber.add_response("transact_write_items", {})
    table.transact([Put(ITEM)])
    assert len(set(tokens)) == len(tokens) == 2


def test_failed_condition_of_update_returns_stored_item(table: DynamoDbTable, stubber: Stubber) -> None:
    stubber.add_client_error("update_item", "TransactionConflictException")
    stubber.add_client_error("update_item", "ConditionalCheckFailedException", modeled_fields={"Item": ATTRIBUTES})
    with pytest.raises(ConditionFailedError) as failure:
        table.update(Update(KEY, (Set("number", 2),), NotExists("pk")))
    assert failure.value.item == ITEM


# Partial responses


def keys_request(*names: str) -> dict[str, Any]:
    keys = [{"pk": {"S": "AC1"}, "sk": {"S": name}} for name in names]
    return {"RequestItems": {"convoke": {"Keys": keys, "ConsistentRead": True}}}


def test_unprocessed_keys_are_requested_again(table: DynamoDbTable, stubber: Stubber) -> None:
    unread = keys_request("b")["RequestItems"]
    stubber.add_response(
        "batch_get_item",
        {"Responses": {"convoke": [ATTRIBUTES]}, "UnprocessedKeys": unread},
        keys_request("a", "b"),
    )
    stubber.add_client_error("batch_get_item", "ThrottlingException", expected_params=keys_request("b"))
    stubber.add_response(
        "batch_get_item",
        {"Responses": {"convoke": [{**ATTRIBUTES, "sk": {"S": "b"}}]}, "UnprocessedKeys": {}},
        keys_request("b"),
    )
    assert table.get_many([KEY, Key("AC1", "b")]) == {KEY: ITEM, Key("AC1", "b"): {**ITEM, "sk": "b"}}


def test_keys_that_stay_unprocessed_raise(table: DynamoDbTable, stubber: Stubber) -> None:
    for _attempt in range(ATTEMPTS):
        stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": keys_request("a")["RequestItems"]})
    with pytest.raises(UnprocessedKeysError):
        table.get_many([KEY])


def test_query_continues_from_last_evaluated_key(table: DynamoDbTable, stubber: Stubber) -> None:
    request = {
        "TableName": "convoke",
        "KeyConditionExpression": ANY,
        "ExpressionAttributeNames": {"#0": "pk"},
        "ExpressionAttributeValues": {":0": {"S": "AC1"}},
        "ScanIndexForward": True,
        "ConsistentRead": False,
    }
    position = {"pk": {"S": "AC1"}, "sk": {"S": "a"}}
    stubber.add_response("query", {"Items": [], "LastEvaluatedKey": position}, {**request, "Limit": 2})
    stubber.add_response(
        "query",
        {"Items": [ATTRIBUTES], "LastEvaluatedKey": position},
        {**request, "Limit": 2, "ExclusiveStartKey": position},
    )
    stubber.add_response("query", {"Items": []}, {**request, "Limit": 1, "ExclusiveStartKey": position})
    assert table.query("AC1", limit=2) == [ITEM]


@pytest.mark.parametrize("consistent", [True, False])
def test_only_table_queries_are_consistent(table: DynamoDbTable, stubber: Stubber, consistent: bool) -> None:
    request = {
        "TableName": "convoke",
        "KeyConditionExpression": ANY,
        "ExpressionAttributeNames": ANY,
        "ExpressionAttributeValues": ANY,
        "ScanIndexForward": True,
        "Limit": 1,
    }
    stubber.add_response("query", {"Items": []}, {**request, "ConsistentRead": consistent})
    stubber.add_response("query", {"Items": []}, {**request, "ConsistentRead": False, "IndexName": "due"})
    table.query("AC1", limit=1, consistent=consistent)
    table.query("AC1", limit=1, consistent=consistent, index=DUE)


def test_single_item_is_read_consistently(table: DynamoDbTable, stubber: Stubber) -> None:
    key = {"pk": {"S": "AC1"}, "sk": {"S": "a"}}
    stubber.add_response("get_item", {"Item": ATTRIBUTES}, {"TableName": "convoke", "Key": key, "ConsistentRead": True})
    assert table.get(KEY) == ITEM
