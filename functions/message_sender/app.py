"""The message sender function. It sends copies of messages to phones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

send = started("message_sender", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process one queue message, which is an event or a copy.

    For an event, the function enqueues one queue message for each copy. For a copy, the function makes at most one
    attempt to send it.
    """
    return send(event, context)
