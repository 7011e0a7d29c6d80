"""The sweeper, which resumes interrupted work, runs expired timers and erases deleted conversations every minute."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

sweep = started("sweeper", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process every due conversation and return how many were processed."""
    return sweep(event, context)
