"""The SID of a User. The API does not have the User resource yet."""

from __future__ import annotations

import hashlib

from convoke.domain.sids import Prefix


def user_sid(chat_service_sid: str, identity: str) -> str:
    """Return the SID of the User that has `identity` in a service.

    The SID is a hash of the service SID and the identity. Therefore Convoke does not have to store the SID.
    """
    return Prefix.USER + hashlib.sha256(f"{chat_service_sid}#{identity}".encode()).hexdigest()[:32]
