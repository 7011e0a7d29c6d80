"""Puts recorded events on the bus."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws import handlers
from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

publish = started(handlers.event_publisher, os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Publish the changes in a batch of the table's stream."""
    return publish(event, context)
