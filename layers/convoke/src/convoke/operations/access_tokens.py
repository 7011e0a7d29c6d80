"""Verify the access tokens of chat clients, create their Users, and find the sessions that Convoke must end early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jwt
from jwt.types import Options

from convoke.domain import instants
from convoke.domain.access_tokens import MAX_TOKEN_BYTES, ChatSession, check_claims, issuer
from convoke.domain.errors import (
    InvalidAccessTokenError,
    InvalidGrantsError,
    InvalidIssuerError,
    InvalidSignatureError,
    NotFoundError,
)
from convoke.domain.instants import Clock
from convoke.domain.users import user_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.accounts import AccountOperations
from convoke.operations.services import ServiceOperations
from convoke.operations.users import UserOperations

ALGORITHM = "HS256"

SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_jti": False,
    "verify_nbf": False,
    "verify_sub": False,
}
"""Options with which `jwt.decode` checks only the signature. domain/access_tokens.py checks the claims."""


@lean_dataclass
class AccessTokenOperations:
    accounts: AccountOperations
    services: ServiceOperations
    users: UserOperations
    real_time: Clock = instants.now
    """The clock that determines whether a token has expired.

    This clock is the real clock and not the clock of the instance, which a test can move. A chat session must not end
    because a test moves the clock of the instance.
    """

    def verify(self, token: str) -> ChatSession:
        """Return the session that `token` permits. Raises an error with the status 401 if the token is invalid."""
        if len(token.encode()) > MAX_TOKEN_BYTES:
            raise InvalidAccessTokenError
        key_sid = self._issuer(token)
        key = self.accounts.api_keys.signing_key(key_sid)
        if key is None:
            raise InvalidIssuerError
        claims = check_claims(_verified(token, key.secret), key.account_sid, self.real_time())
        account = self.accounts.accounts.fetch(key.account_sid)
        if account is None:
            raise InvalidIssuerError
        try:
            service = self.services.fetch(key.account_sid, claims.chat_service_sid)
        except NotFoundError as error:
            raise InvalidGrantsError from error
        sid = user_sid(service.sid, claims.identity)
        return ChatSession(account, service, claims.identity, sid, key_sid, claims.expires_at)

    def authenticate(self, token: str) -> ChatSession:
        """Return the session of a chat client that sends a request outside its WebSocket.

        Raises an error with the status 401 if `token` is invalid, or if the User does not exist. Unlike `connect`, this
        method does not create the User. `connect` created the User when the client opened its WebSocket.
        """
        session = self.verify(token)
        if self.revoked([session]):
            raise InvalidAccessTokenError
        return session

    def connect(self, token: str) -> ChatSession:
        """Return the session of a chat client that connects. Create the User of the client if this User does not exist.

        Raises the errors of `verify`.
        """
        session = self.verify(token)
        self.users.see(session.service, session.identity)
        return session

    def revoked(self, sessions: Sequence[ChatSession]) -> list[ChatSession]:
        """Return the sessions whose API key, User or service no longer exists, or whose API key has expired."""
        users = self.users.existing({(session.account.sid, session.user_sid) for session in sessions})
        return [
            session
            for session in sessions
            if (session.account.sid, session.user_sid) not in users
            or not self.accounts.api_keys.is_valid(session.key_sid)
            or self.services.services.fetch(session.account.sid, session.service.sid) is None
        ]

    def _issuer(self, token: str) -> str:
        try:
            unverified = jwt.decode_complete(token, options={**SIGNATURE_ONLY, "verify_signature": False})
        except (jwt.InvalidTokenError, RecursionError):
            raise InvalidAccessTokenError from None
        return issuer(unverified["header"], unverified["payload"])


def _verified(token: str, secret: str) -> dict[str, Any]:
    """Return the payload of a token. Raises InvalidSignatureError if `secret` has not signed the token.

    The error has no `__cause__`, because a cause could contain the token.
    """
    try:
        payload: dict[str, Any] = jwt.decode(token, secret, algorithms=[ALGORITHM], options=SIGNATURE_ONLY)
    except jwt.InvalidTokenError:
        raise InvalidSignatureError from None
    return payload
