"""The User resource (reference, a.11)."""

from __future__ import annotations

import hashlib

from convoke.domain.sids import Prefix


def user_sid(chat_service_sid: str, identity: str) -> str:
    """That of the User behind an identity in a service: it follows from the two, so it need not be looked up."""
    return Prefix.USER + hashlib.sha256(f"{chat_service_sid}#{identity}".encode()).hexdigest()[:32]
