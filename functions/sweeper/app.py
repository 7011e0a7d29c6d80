"""The sweeper: every minute it resumes interrupted work, fires timers and retries failed steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

sweep = started("sweeper", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process everything that is due, and return how many resources that were."""
    return sweep(event, context)
