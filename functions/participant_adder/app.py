"""Adds the members of conversations."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.bootstrap import handlers
from convoke.bootstrap.aws import AwsEdges

add = handlers.participant_adder(AwsEdges(os.environ))


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Add the members in each message of a batch."""
    return add(event, context)
