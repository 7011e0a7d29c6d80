"""Run the API function in this process, with a stub that answers the AWS calls without delay.

`warm.py` runs this program with the built layer. The arguments are an Account SID and an Auth Token. The program first
creates this account. Standard input is a gateway event that creates a conversation. The program calls the function with
this event many times, in several rounds. Then the program writes a JSON list to standard error. The list has one number
for each round: the average processor time of a call in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from typing import Any

import app  # type: ignore[import-not-found]
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from convoke.aws.edges import AwsEdges
from convoke.program import Program

WARM_UP_CREATES, ROUNDS, CREATES_PER_ROUND = 50, 10, 50

_items: dict[str, Any] = {}


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> list[bytes]:
        return [self._content]


class _Context:
    function_name = "api"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:api"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def _answer(operation: str, given: Any) -> Any:
    """Return the response of an AWS operation.

    The stub stores only the first transaction, which creates the account. Later transactions are accepted but not
    stored. Therefore no request finds a lock of an earlier request.
    """
    match operation:
        case "GetSecretValue":
            return {"SecretString": sys.argv[2]}
        case "PutSecretValue":
            return {}
        case "GetItem":
            item = _items.get(json.dumps(given["Key"], sort_keys=True))
            return {"Item": item} if item else {}
        case "TransactWriteItems" if not _items:
            for write in given["TransactItems"]:
                item = write["Put"]["Item"]
                _items[json.dumps({"pk": item["pk"], "sk": item["sk"]}, sort_keys=True)] = item
            return {}
        case "TransactWriteItems":
            return {}
        case "SendMessage":
            digest = hashlib.md5(given["MessageBody"].encode(), usedforsecurity=False).hexdigest()
            return {"MessageId": "1", "MD5OfMessageBody": digest}
    raise ValueError(f"a create does not call {operation}")


def send(_: URLLib3Session, request: Any) -> AWSResponse:
    operation = str(request.headers["X-Amz-Target"]).rpartition(".")[2].rstrip("'")
    content = json.dumps(_answer(operation, json.loads(request.body))).encode()
    return AWSResponse(request.url, 200, {}, _Body(content))  # type: ignore[arg-type]


def create(event: str, times: int) -> float:
    """Create `times` conversations. Return the average processor time per conversation in milliseconds."""
    before = time.process_time()
    for _ in range(times):
        answered = app.lambda_handler(json.loads(event), _Context())
        if answered["statusCode"] != 202:
            raise RuntimeError(f"nothing was created: {answered}")
    return (time.process_time() - before) / times * 1000


if __name__ == "__main__":
    URLLib3Session.send = send  # type: ignore[method-assign,assignment]
    Program(AwsEdges(os.environ)).accounts.create(*sys.argv[1:])
    given = sys.stdin.read()
    create(given, WARM_UP_CREATES)
    print(json.dumps([create(given, CREATES_PER_ROUND) for _ in range(ROUNDS)]), file=sys.stderr)
