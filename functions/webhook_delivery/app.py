"""The webhook delivery function: it sends events to webhooks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

deliver = started("webhook_delivery", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process one message: split an event into one message per target, or make one attempt to deliver to a target."""
    return deliver(event, context)
