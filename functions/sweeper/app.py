"""Finishes what was interrupted."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.bootstrap import handlers
from convoke.bootstrap.aws import AwsEdges

sweep = handlers.sweeper(AwsEdges(os.environ))


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Attend to every conversation that is due."""
    return sweep(event, context)
