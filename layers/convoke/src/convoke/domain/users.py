"""The SIDs of Users. The User resource itself is not served yet."""

from __future__ import annotations

import hashlib

from convoke.domain.sids import Prefix


def user_sid(chat_service_sid: str, identity: str) -> str:
    """Return the SID of the User with an identity in a service.

    It is a hash of the two, so that no table read is necessary.
    """
    return Prefix.USER + hashlib.sha256(f"{chat_service_sid}#{identity}".encode()).hexdigest()[:32]
