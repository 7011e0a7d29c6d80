"""Idempotency keys: a repeated request gets the answer of the first one.

The header is the one of the IETF draft `draft-ietf-httpapi-idempotency-key-header`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from convoke.domain.conversations import Conversation
from convoke.domain.errors import IdempotencyKeyReusedError, InvalidParameterError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

IDEMPOTENCY_KEY = "Idempotency-Key"

RECORD_LIFETIME = timedelta(hours=24)

_KEY = re.compile("[ -~]{1,255}")


class IdempotentRequest(Model):
    """A request that the client may repeat, and the key that the client gave it."""

    key: str
    fingerprint: str
    """A hash of the request. It distinguishes a repeated request from a different request with the same key."""


class IdempotencyRecord(IdempotentRequest):
    """The stored result of a request with an idempotency key."""

    conversation: Conversation
    """The conversation as it was when the request created it."""
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + RECORD_LIFETIME

    def conversation_for(self, repeated: IdempotentRequest) -> Conversation:
        """Return the conversation for a repeated request. Raises IdempotencyKeyReusedError for a different request."""
        if repeated.fingerprint != self.fingerprint:
            sid = self.conversation.sid
            raise IdempotencyKeyReusedError(parameter=IDEMPOTENCY_KEY, conflicting_conversation_sid=sid)
        return self.conversation


def check_idempotency_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidParameterError(parameter=IDEMPOTENCY_KEY, wanted="1 to 255 printable ASCII characters")
    return key
