"""Compute the header `X-Twilio-Signature`.

See https://www.twilio.com/docs/usage/security#validating-requests.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping


def sign(url: str, parameters: Mapping[str, str], auth_token: str) -> str:
    """Return the signature of a request: an HMAC-SHA1 of the URL and the form parameters, in Base64.

    `url` is the full URL with the query, but without a fragment. `parameters` are the decoded form fields of a POST
    request. For a GET request, `parameters` must be empty, because the URL already contains the parameters.
    """
    return sign_text(url + sorted_text(parameters), auth_token)


def sorted_text(parameters: Mapping[str, str]) -> str:
    """Join the names and values of the parameters, sorted by name. In the signed text, the result follows the URL."""
    return "".join(name + parameters[name] for name in sorted(parameters))


def sign_text(text: str, auth_token: str) -> str:
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()
