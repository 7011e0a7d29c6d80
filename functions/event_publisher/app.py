"""The event publisher function. It reads new events from the table's stream, and publishes them on the event bus."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

publish = started("event_publisher", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Publish the events of one batch of stream records."""
    return publish(event, context)
