"""Implement the port `Table` on DynamoDB.

This module converts conditions and actions to DynamoDB's expressions, and items to attribute values and back. The
module retries a call if DynamoDB throttles the call, leaves keys of a batch unread, or reports a conflict between
transactions. The module does not use boto3, because importing boto3 would take a quarter of the time of a cold start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from convoke.storage.table import (
    Action,
    Add,
    And,
    Condition,
    ConditionFailedError,
    Contains,
    Delete,
    DeleteFromSet,
    Equals,
    Exists,
    Index,
    Item,
    Key,
    LessThan,
    NotExists,
    Or,
    Put,
    Remove,
    Set,
    TransactionCanceledError,
    Update,
    Value,
    Write,
    batches_of_keys,
    key_of,
    writes_by_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from tenacity.wait import wait_base

BACKOFF = wait_random_exponential(multiplier=0.025, max=1)
"""The random pauses between the attempts of a call ("full jitter").

The first pause is at most 0.025 seconds. The maximum doubles with each attempt, up to 1 second.
"""

MAX_ATTEMPTS = 10
"""The maximum number of attempts of a call.

With the pauses of BACKOFF, a call whose attempts all fail takes about 2.5 seconds. In each attempt, botocore can retry
a throttled call itself.
"""

# The module repeats a call that fails with one of these error codes. For a canceled transaction, DynamoDB also returns
# one reason for each write, and the reasons determine whether the module repeats the transaction. See
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
_TRANSIENT_ERRORS = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_TRANSIENT_REASONS = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
# A write that did not cause the cancellation has the reason "None", which is a string.
_FINAL_REASONS = {"None", "ConditionalCheckFailed"}


class UnprocessedKeysError(Exception):
    """DynamoDB did not read some keys of a batch, for example because of throttling."""


class DynamoDbTable:
    """Implements `Table`.

    A method raises botocore's ClientError if the last attempt is throttled or in conflict, and after any other error of
    DynamoDB except a failed condition. `get_many` raises UnprocessedKeysError if the last attempt leaves keys unread.
    """

    def __init__(
        self, client: DynamoDBClient, table_name: str, *, wait: wait_base = BACKOFF, attempts: int = MAX_ATTEMPTS
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._retrying = Retrying(
            retry=retry_if_exception(_is_transient), wait=wait, stop=stop_after_attempt(attempts), reraise=True
        )

    def get(self, key: Key) -> Item | None:
        response = self._retrying(
            self._client.get_item, TableName=self._table_name, Key=_to_attributes(key._asdict()), ConsistentRead=True
        )
        return _to_item(response["Item"]) if "Item" in response else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for batch in batches_of_keys(keys):
            found |= self._get_batch(batch, consistent=consistent)
        return found

    def _get_batch(self, keys: Sequence[Key], *, consistent: bool) -> dict[Key, Item]:
        unread: Sequence[Any] = [_to_attributes(key._asdict()) for key in keys]
        found: dict[Key, Item] = {}

        def read_remaining() -> None:
            nonlocal unread
            response = self._client.batch_get_item(
                RequestItems={self._table_name: {"Keys": unread, "ConsistentRead": consistent}}
            )
            for item in map(_to_item, response["Responses"].get(self._table_name, [])):
                found[key_of(item)] = item
            # DynamoDB may skip keys because of throttling, or because the items exceed 16 MB.
            unread = response["UnprocessedKeys"].get(self._table_name, {"Keys": []})["Keys"]
            if unread:
                raise UnprocessedKeysError(f"{len(unread)} keys were left unread")

        self._retrying(read_remaining)
        return found

    def query(
        self,
        partition: str,
        *,
        limit: int,
        index: Index | None = None,
        between: tuple[str, str] | None = None,
        after: Item | None = None,
        forward: bool = True,
        consistent: bool = False,
    ) -> list[Item]:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        partition_name, sort_name = (index.partition, index.sort) if index else ("pk", "sk")
        if after and between:
            position = str(after[sort_name])
            near, far = between if forward else between[::-1]
            # DynamoDB refuses an ExclusiveStartKey outside the range `between`. If `after` is beyond the far end of the
            # range, no items remain. If `after` is before the near end, the query starts at the near end.
            if (position > far) if forward else (position < far):
                return []
            if (position < near) if forward else (position > near):
                after = None
        request = self._query_request(partition, partition_name, sort_name, between)
        # DynamoDB refuses a consistent read of a global secondary index.
        request |= {"ScanIndexForward": forward, "ConsistentRead": consistent and index is None}
        if index:
            request["IndexName"] = index.name
        if after:
            # In an index query, the start key needs the key attributes of the index and of the table.
            start = {name: after[name] for name in ("pk", "sk", sort_name)} | {partition_name: partition}
            request["ExclusiveStartKey"] = _to_attributes(start)
        return self._read_pages(request, limit)

    def update(self, update: Update) -> Item:
        request = self._update_request(update) | {"ReturnValues": "ALL_NEW"}
        try:
            response = self._retrying(self._client.update_item, **request)
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            raise ConditionFailedError(_existing_item(error.response)) from error
        return _to_item(response["Attributes"])

    def transact(self, writes: Sequence[Write]) -> None:
        requests: list[Any] = [self._write_request(write) for write in writes_by_key(writes).values()]
        token = str(uuid4())

        def write_all() -> None:
            nonlocal token
            try:
                self._client.transact_write_items(TransactItems=requests, ClientRequestToken=token)
            except self._client.exceptions.TransactionCanceledException:
                # A canceled transaction wrote nothing. The next attempt is a new transaction, so it needs a new token.
                #
                # After any other error, such as a timeout, DynamoDB may have applied the transaction. The next attempt
                # therefore keeps the token, because DynamoDB does not apply a transaction twice with one token. With a
                # new token, the writes of the first attempt could make the conditions fail.
                token = str(uuid4())
                raise

        try:
            self._retrying(write_all)
        except ClientError as error:
            failed = {
                position: _existing_item(reason)
                for position, reason in enumerate(_cancellation_reasons(error))
                if reason["Code"] == "ConditionalCheckFailed"
            }
            if not failed:
                raise
            raise TransactionCanceledError(failed) from error

    def _query_request(
        self, partition: str, partition_name: str, sort_name: str, between: tuple[str, str] | None
    ) -> dict[str, Any]:
        expression = _Expression()
        text = f"{expression.name(partition_name)} = {expression.value(partition)}"
        if between:
            low, high = map(expression.value, between)
            text += f" AND {expression.name(sort_name)} BETWEEN {low} AND {high}"
        return {"TableName": self._table_name, "KeyConditionExpression": text, **expression.placeholders()}

    def _read_pages(self, request: dict[str, Any], limit: int) -> list[Item]:
        """Read at most `limit` items. DynamoDB ends a page after 1 MB, so several calls may be necessary."""
        items: list[Item] = []
        while len(items) < limit:
            response = self._retrying(self._client.query, **request, Limit=limit - len(items))
            items += map(_to_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                break
            request = {**request, "ExclusiveStartKey": response["LastEvaluatedKey"]}
        return items

    def _write_request(self, write: Write) -> dict[str, Any]:
        match write:
            case Put(item, condition):
                return {"Put": {**self._request(_Expression(), condition), "Item": _to_attributes(item)}}
            case Update():
                return {"Update": self._update_request(write)}
            case Delete(key, condition):
                return {"Delete": {**self._request(_Expression(), condition), "Key": _to_attributes(key._asdict())}}

    def _update_request(self, update: Update) -> dict[str, Any]:
        expression = _Expression()
        text = _render_actions(update.actions, expression)
        request = self._request(expression, update.condition)
        return {**request, "Key": _to_attributes(update.key._asdict()), "UpdateExpression": text}

    def _request(self, expression: _Expression, condition: Condition | None) -> dict[str, Any]:
        """Return the parameters that puts, updates and deletes have in common.

        The result contains the placeholders of all expressions. Therefore render the update expression before this
        call.
        """
        request: dict[str, Any] = {"TableName": self._table_name}
        if condition is not None:
            request["ConditionExpression"] = _render_condition(condition, expression)
            # With this parameter, the error of a failed condition contains the stored item, which saves a read.
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {**request, **expression.placeholders()}


def _is_transient(error: BaseException) -> bool:
    if not isinstance(error, ClientError):
        return isinstance(error, UnprocessedKeysError)
    if reasons := {reason["Code"] for reason in _cancellation_reasons(error)}:
        # Retry even if one write has a conflict and the condition of another write fails. The caller must learn all
        # failed conditions, and after the conflict, the condition of the write with the conflict may fail too. See
        # docs/decisions/0020-conflicts-retried-before-conditions-count.md.
        unsettled = reasons - _FINAL_REASONS
        return bool(unsettled) and unsettled <= _TRANSIENT_REASONS
    return _code(error) in _TRANSIENT_ERRORS


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _cancellation_reasons(error: ClientError) -> Sequence[Any]:
    """Return the cancellation reasons, one for each write in the order of the writes.

    The result is empty if no canceled transaction caused the error.
    """
    reasons: Sequence[Any] = error.response.get("CancellationReasons", ())
    return reasons


def _existing_item(failure: Mapping[str, Any]) -> Item | None:
    """Return the stored item that made a condition fail. Return None if no item is stored under the key.

    `failure` is the error of an update, or the cancellation reason of one write. Both have the item in the key `Item`.
    """
    return _to_item(failure["Item"]) if failure.get("Item") else None


class _Expression:
    """Creates placeholders for the names and values in the expressions of a request.

    Every attribute name gets a placeholder, because some names, such as `state`, are reserved words. See
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, name: str) -> str:
        return self._names.setdefault(name, f"#{len(self._names)}")

    def value(self, value: Value | frozenset[str]) -> str:
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = _serialize(value)
        return placeholder

    def placeholders(self) -> dict[str, Any]:
        """Return the parameters that define the placeholders.

        A parameter without placeholders is omitted, because DynamoDB refuses an empty parameter.
        """
        parameters: dict[str, Any] = {}
        if self._names:
            parameters["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            parameters["ExpressionAttributeValues"] = self._values
        return parameters


def _render_condition(condition: Condition, expression: _Expression) -> str:
    match condition:
        case Exists(name):
            return f"attribute_exists({expression.name(name)})"
        case NotExists(name):
            return f"attribute_not_exists({expression.name(name)})"
        case Equals(name, value):
            return f"{expression.name(name)} = {expression.value(value)}"
        case LessThan(name, value):
            return f"{expression.name(name)} < {expression.value(value)}"
        case Contains(name, value):
            # Check that the attribute is a set, because contains() also accepts strings and lists.
            is_set = f"attribute_type({expression.name(name)}, {expression.value('SS')})"
            return f"({is_set} AND contains({expression.name(name)}, {expression.value(value)}))"
        case And(conditions):
            return _join(" AND ", [_render_condition(part, expression) for part in conditions])
        case Or(conditions):
            return _join(" OR ", [_render_condition(part, expression) for part in conditions])


def _join(operator: str, parts: Sequence[str]) -> str:
    # DynamoDB refuses redundant parentheses, so a single part gets none.
    return f"({operator.join(parts)})" if len(parts) > 1 else parts[0]


def _render_actions(actions: Iterable[Action], expression: _Expression) -> str:
    clauses: dict[str, list[str]] = {}
    for action in actions:
        name = expression.name(action.name)
        match action:
            case Set(_, value):
                clauses.setdefault("SET", []).append(f"{name} = {expression.value(value)}")
            case Remove():
                clauses.setdefault("REMOVE", []).append(name)
            case Add(_, value):
                clauses.setdefault("ADD", []).append(f"{name} {expression.value(value)}")
            case DeleteFromSet(_, values):
                clauses.setdefault("DELETE", []).append(f"{name} {expression.value(values)}")
    return " ".join(f"{keyword} {', '.join(parts)}" for keyword, parts in clauses.items())


def _serialize(value: Value | frozenset[str]) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case dict():
            return {"M": _to_attributes(value)}
        case list():
            return {"L": [_serialize(element) for element in value]}
        case set() | frozenset():
            return {"SS": list(value)}


def _deserialize(attribute: Mapping[str, Any]) -> Value:
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value  # type: ignore[no-any-return]
        case "N":
            return int(value)
        case "NULL":
            return None
        case "M":
            return _to_item(value)
        case "L":
            return [_deserialize(element) for element in value]
        case "SS":
            return set(value)
        case unknown:
            raise ValueError(f"Convoke stores no attributes of the type {unknown}")


def _to_attributes(item: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _to_item(attributes: Mapping[str, Any]) -> Item:
    return {name: _deserialize(value) for name, value in attributes.items()}
