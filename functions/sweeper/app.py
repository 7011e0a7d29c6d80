"""The sweeper function, which runs every minute.

The sweeper resumes interrupted work, applies expired timers and erases deleted resources.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

sweep = started("sweeper", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process the due resources in one shard of the index `due`. Return the number of processed resources.

    The event names the shard. If the event names no shard, process all shards.
    """
    return sweep(event, context)
