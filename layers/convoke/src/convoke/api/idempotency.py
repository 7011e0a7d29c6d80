"""Parse the header `Idempotency-Key`, specified in the IETF draft `draft-ietf-httpapi-idempotency-key-header`."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from convoke.api.form import MULTIPART, content_type_of, media_type, parse_fields
from convoke.api.requests import Request
from convoke.domain.idempotency import IDEMPOTENCY_KEY, IdempotentRequest, check_idempotency_key

IDEMPOTENT_REPLAYED = "Idempotent-Replayed"
"""The response header that is set if a request repeats an idempotency key, and gets the first response again."""


def parse_idempotency_key(request: Request) -> IdempotentRequest | None:
    """Return the idempotency key and the fingerprint of the request, or None if the request has no key.

    Raise InvalidParameterError if the key or the body is invalid.
    """
    key = request.headers.get(IDEMPOTENCY_KEY.lower())
    if key is None:
        return None
    return IdempotentRequest(key=check_idempotency_key(key), fingerprint=_fingerprint(request))


def _fingerprint(request: Request) -> str:
    """Return a hash of the method, the path and the body."""
    http = request.event["requestContext"]["http"]
    # Include the path, because the path can contain the SID of a service. Equal bodies for two services are different
    # requests.
    request_line = f"{http['method']} {request.event['rawPath']}\n"
    # Hash the fields of a multipart form instead of the body. The body differs each time, because a client creates a
    # new boundary for each request.
    is_multipart = media_type(content_type_of(request.event)) == MULTIPART
    body = urlencode(parse_fields(request.event)).encode() if is_multipart else request.body
    return hashlib.sha256(request_line.encode() + body).hexdigest()
