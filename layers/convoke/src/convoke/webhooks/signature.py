"""`X-Twilio-Signature` (reference, d.6)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping


def sign(url: str, parameters: Mapping[str, str], auth_token: str) -> str:
    """The signature of a request: HMAC-SHA1 over the URL and the sorted form parameters, not encoded, in Base64.

    `url` is the full one, with its query and without a fragment. A GET has its parameters in the query and none here.
    """
    text = url + "".join(name + parameters[name] for name in sorted(parameters))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()
