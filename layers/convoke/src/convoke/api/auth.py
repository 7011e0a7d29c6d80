"""HTTP Basic credentials: Account SID and Auth Token, or SID and secret of an API key.

See docs/behaviour/requests-and-answers.md#authentication.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from convoke.domain.errors import NotAuthenticatedError


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return user and password of a request. Raises NotAuthenticatedError if the request has none."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticatedError
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise NotAuthenticatedError from error
    if not colon:  # The decoded text is not `user:password`.
        raise NotAuthenticatedError
    return user, password
