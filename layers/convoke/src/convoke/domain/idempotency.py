"""Idempotency keys: the same request again is answered the same (draft-ietf-httpapi-idempotency-key-header)."""

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
    """A request that may come again, under the key that the client gave it."""

    key: str
    fingerprint: str
    """Tells it from another request."""


class IdempotencyRecord(IdempotentRequest):
    """What such a request came to."""

    conversation: Conversation
    """As it was created."""
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + RECORD_LIFETIME

    def conversation_of(self, again: IdempotentRequest) -> Conversation:
        """What the same request is answered. Raises IdempotencyKeyReusedError for another one."""
        if again.fingerprint != self.fingerprint:
            sid = self.conversation.sid
            raise IdempotencyKeyReusedError(parameter=IDEMPOTENCY_KEY, conflicting_conversation_sid=sid)
        return self.conversation


def check_idempotency_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidParameterError(parameter=IDEMPOTENCY_KEY, wanted="1 to 255 printable ASCII characters")
    return key
