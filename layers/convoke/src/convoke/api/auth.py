"""HTTP Basic credentials: an Account SID with its Auth Token, or the SID of an API key with its secret.

operations/accounts.py checks the credentials. See docs/behaviour/requests-and-answers.md#authentication.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from convoke.domain.errors import NotAuthenticatedError


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the user and the password of a request.

    Raise NotAuthenticatedError if the header `Authorization` is missing or malformed.
    """
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
