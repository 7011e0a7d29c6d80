"""Accounts: making them, and recognising who calls."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from convoke.domain.accounts import Account
from convoke.domain.errors import NotAuthenticatedError
from convoke.domain.instants import Clock
from convoke.domain.sids import NewSid, Prefix
from convoke.operations.ports import AccountRepository, AuthTokens
from convoke.operations.services import new_service

DEFAULT_SERVICE_NAME = "Default Conversations Service"


@dataclass(frozen=True, slots=True)
class AccountOperations:
    accounts: AccountRepository
    auth_tokens: AuthTokens
    now: Clock
    new_sid: NewSid

    def authenticate(self, account_sid: str, token: str) -> Account:
        """The account whose credentials these are. Raises NotAuthenticatedError, saying no more."""
        expected = self.auth_tokens.fetch(account_sid)
        if expected is None or not hmac.compare_digest(expected.encode(), token.encode()):
            raise NotAuthenticatedError
        account = self.accounts.fetch(account_sid)
        if account is None:
            raise NotAuthenticatedError
        return account

    def token(self, account_sid: str) -> str:
        """The Auth Token of an account that exists."""
        token = self.auth_tokens.fetch(account_sid)
        if token is None:
            raise NotAuthenticatedError
        return token

    def page_key(self, account_sid: str) -> bytes:
        """The key that signs the account's page tokens, good for as long as its Auth Token."""
        return hmac.digest(self.token(account_sid).encode(), b"page tokens", "sha256")

    def create(self, account_sid: str | None = None, token: str | None = None) -> Account:
        """A new account with a default service and a default messaging service; what is not given is made.

        The token is stored first: an account without one could not be used, a token without an account is nothing.
        Where the account exists already, only its token is replaced.
        """
        now, sid = self.now(), account_sid or self.new_sid(Prefix.ACCOUNT)
        service = new_service(sid, DEFAULT_SERVICE_NAME, now, self.new_sid)
        account = Account(
            sid=sid,
            date_created=now,
            default_chat_service_sid=service.sid,
            default_messaging_service_sid=self.new_sid(Prefix.MESSAGING_SERVICE),
        )
        self.auth_tokens.put(sid, token or new_token())
        self.accounts.create(account, service)
        return account

    def rotate_token(self, account_sid: str) -> str | None:
        """A new token in the place of the old one; None where there is no such account."""
        if self.accounts.fetch(account_sid) is None:
            return None
        token = new_token()
        self.auth_tokens.put(account_sid, token)
        return token


def new_token() -> str:
    """32 hexadecimal digits, as Twilio's are."""
    return secrets.token_hex(16)
