"""The finalizer function. It performs the tasks Finalize, Close and Settle of the state machine in this folder.

The finalizer ends the state `initializing` of a conversation. See docs/how-it-works.md#what-happens-to-a-request.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

perform = started("conversation_finalizer", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Perform the task that the event names: finalize, close or settle."""
    return perform(event, context)
