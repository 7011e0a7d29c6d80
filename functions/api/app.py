"""The API function. API Gateway passes every HTTP request to this function."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from convoke.aws.cold_start import started

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

resolve = started("api", os.environ)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Return the response to one HTTP request."""
    return resolve(event, context)
