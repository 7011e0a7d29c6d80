"""The tasks of the finalizer's state machine."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.bootstrap import handlers
from convoke.bootstrap.aws import AwsEdges

perform = handlers.conversation_finalizer(AwsEdges(os.environ))


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Perform the task that the input names."""
    return perform(event, context)
