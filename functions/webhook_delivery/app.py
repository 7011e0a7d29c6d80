"""The webhook delivery function. It sends events to webhooks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

deliver = started("webhook_delivery", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process one queue message, which is an event or a delivery.

    For an event, the function enqueues one delivery for each target. For a delivery, the function makes at
    most one attempt.
    """
    return deliver(event, context)
