"""Puts recorded events on the bus."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.bootstrap import handlers
from convoke.bootstrap.aws import AwsEdges

publish = handlers.event_publisher(AwsEdges(os.environ))


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Publish the changes in a batch of the table's stream."""
    return publish(event, context)
