"""Idempotency keys of requests that create a conversation.

For 24 hours, a repetition of an accepted request with the same key gets the response of the first request.

The IETF draft `draft-ietf-httpapi-idempotency-key-header` specifies the header `Idempotency-Key`.
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
    """The idempotency key of a request, and a fingerprint of the request."""

    key: str
    fingerprint: str
    """A hash of the method, the path and the body. For a multipart form, a hash of the fields replaces the body.

    If the fingerprints of two requests with the same key are different, the client has reused the key.
    """


class IdempotencyRecord(IdempotentRequest):
    """The stored result of a request with an idempotency key."""

    conversation: Conversation
    """The conversation as Convoke created it, without later changes."""
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + RECORD_LIFETIME

    def conversation_for(self, repeated: IdempotentRequest) -> Conversation:
        """Return the conversation that the first request with this key created.

        Raise IdempotencyKeyReusedError if `repeated` and the first request have different fingerprints.
        """
        if repeated.fingerprint != self.fingerprint:
            sid = self.conversation.sid
            raise IdempotencyKeyReusedError(parameter=IDEMPOTENCY_KEY, conflicting_conversation_sid=sid)
        return self.conversation


def check_idempotency_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidParameterError(parameter=IDEMPOTENCY_KEY, wanted="1 to 255 printable ASCII characters")
    return key
