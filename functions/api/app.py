"""Answers requests that come through API Gateway."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.bootstrap import handlers
from convoke.bootstrap.aws import AwsEdges

resolve = handlers.api(AwsEdges(os.environ))


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Answer one request."""
    return resolve(event, context)
