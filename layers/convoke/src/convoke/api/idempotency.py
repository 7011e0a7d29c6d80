"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib

from convoke.api.requests import Request
from convoke.domain.idempotency import IDEMPOTENCY_KEY, IdempotentRequest, check_idempotency_key

IDEMPOTENT_REPLAYED = "Idempotent-Replayed"
"""On an answer that a request got before."""


def idempotent(request: Request) -> IdempotentRequest | None:
    """The request under its key; None without one. Raises InvalidParameterError for what cannot be a key."""
    key = request.headers.get(IDEMPOTENCY_KEY.lower())
    if key is None:
        return None
    return IdempotentRequest(key=check_idempotency_key(key), fingerprint=_fingerprint(request))


def _fingerprint(request: Request) -> str:
    http = request.event["requestContext"]["http"]
    asked = f"{http['method']} {request.event['rawPath']}\n"
    return hashlib.sha256(asked.encode() + request.body).hexdigest()
