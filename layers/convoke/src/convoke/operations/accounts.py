"""Authenticate requests, create accounts, and rotate Auth Tokens."""

from __future__ import annotations

import hmac
import secrets

from convoke.domain.accounts import Account
from convoke.domain.errors import NotAuthenticatedError
from convoke.domain.instants import Clock
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.api_keys import ApiKeyOperations
from convoke.operations.services import new_service
from convoke.storage.accounts import CachedAccounts
from convoke.storage.auth_tokens import AuthTokens

DEFAULT_SERVICE_NAME = "Default Conversations Service"


@lean_dataclass
class AccountOperations:
    accounts: CachedAccounts
    auth_tokens: AuthTokens
    api_keys: ApiKeyOperations
    now: Clock
    new_sid: NewSid

    def authenticate(self, user: str, password: str) -> Account:
        """Return the account to which a user name and a password belong.

        The user name is an Account SID or the SID of an API key. The password is the Auth Token of the account or the
        secret of the API key. Raises NotAuthenticatedError if the user name or the password is wrong.
        """
        sid = self._authenticated_sid(user, password)
        if sid is None:
            raise NotAuthenticatedError
        # An Auth Token can exist before its account, for example in a new deployment. The first request with the token
        # creates the account.
        return self.accounts.fetch(sid) or self._create_or_fetch(sid)

    def fetch(self, account_sid: str) -> Account:
        """Return an account. Raises NotAuthenticatedError if the account does not exist."""
        account = self.accounts.fetch(account_sid)
        if account is None:
            raise NotAuthenticatedError
        return account

    def _authenticated_sid(self, user: str, password: str) -> str | None:
        if key_sid := parse_sid(user, Prefix.API_KEY):
            return self.api_keys.authenticate(key_sid, password)
        sid = parse_sid(user, Prefix.ACCOUNT)
        token = self.auth_tokens.fetch(sid) if sid else None
        return sid if token is not None and hmac.compare_digest(token.encode(), password.encode()) else None

    def token(self, account_sid: str) -> str:
        """Return the Auth Token of an account. Raises NotAuthenticatedError if the account has no Auth Token."""
        token = self.auth_tokens.fetch(account_sid)
        if token is None:
            raise NotAuthenticatedError
        return token

    def page_key(self, account_sid: str) -> bytes:
        """Return the key that signs the account's page tokens. A new Auth Token makes all older page tokens invalid."""
        return hmac.digest(self.token(account_sid).encode(), b"page tokens", "sha256")

    def create(self, account_sid: str | None = None, token: str | None = None) -> Account:
        """Create an account with a default service and the SID of a default Messaging Service.

        Without `account_sid` or without `token`, the method generates the missing value. If the account exists, the
        method only replaces its Auth Token and returns the account. Therefore the caller can repeat the operation with
        the same `account_sid` after a crash.
        """
        sid = account_sid or self.new_sid(Prefix.ACCOUNT)
        # Store the token first. If the process dies after this call, the first request with the token creates the
        # account.
        self.auth_tokens.put(sid, token or new_token())
        return self._create_or_fetch(sid)

    def _create_or_fetch(self, account_sid: str) -> Account:
        """Create the account with this SID. If the account exists, return the existing account."""
        now = self.now()
        service = new_service(account_sid, DEFAULT_SERVICE_NAME, now, self.new_sid)
        account = Account(
            sid=account_sid,
            date_created=now,
            default_chat_service_sid=service.sid,
            default_messaging_service_sid=self.new_sid(Prefix.MESSAGING_SERVICE),
        )
        if self.accounts.create(account, service):
            return account
        known = self.accounts.fetch(account_sid)
        if known is None:
            raise NotAuthenticatedError
        return known

    def rotate_token(self, account_sid: str) -> str | None:
        """Replace the Auth Token of an account and return the new token. Returns None if the account does not exist."""
        if self.accounts.fetch(account_sid) is None:
            return None
        token = new_token()
        self.auth_tokens.put(account_sid, token)
        return token


def new_token() -> str:
    """Return a random Auth Token. Like Twilio's tokens, the Auth Token has 32 hexadecimal digits."""
    return secrets.token_hex(16)
