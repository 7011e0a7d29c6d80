"""The inbound messages function. It processes messages and delivery events from AWS End User Messaging SMS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

receive = started("inbound_messages", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Store messages from phones. Record the statuses that delivery events report about copies of messages."""
    receive(event, context)
