"""Adds the members of conversations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws import handlers
from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

add = started(handlers.participant_adder, os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Add the members in each message of a batch."""
    return add(event, context)
