"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib

from convoke.api.requests import Request
from convoke.domain.idempotency import IDEMPOTENCY_KEY, IdempotentRequest, check_idempotency_key

IDEMPOTENT_REPLAYED = "Idempotent-Replayed"
"""The response header that marks the response to a repeated request."""


def parse_idempotency_key(request: Request) -> IdempotentRequest | None:
    """Return the request's key and fingerprint. Returns None if the request has no key.

    Raises InvalidParameterError if the key is invalid.
    """
    key = request.headers.get(IDEMPOTENCY_KEY.lower())
    if key is None:
        return None
    return IdempotentRequest(key=check_idempotency_key(key), fingerprint=_fingerprint(request))


def _fingerprint(request: Request) -> str:
    """Return a hash of method, path and body, which tells a repeated request from a different one with the same key."""
    http = request.event["requestContext"]["http"]
    # The path includes the service, so the same key and body in another service is a different request.
    request_line = f"{http['method']} {request.event['rawPath']}\n"
    return hashlib.sha256(request_line.encode() + request.body).hexdigest()
