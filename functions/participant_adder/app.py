"""The participant adder function. It adds the participants to new conversations, and starts the finalizer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

add = started("participant_adder", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process one batch of the participant queue. Each queue message contains the participants of one conversation."""
    return add(event, context)
