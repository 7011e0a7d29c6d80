"""Accounts: making them, and recognising who calls."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from convoke.domain.account_configuration import AccountConfigurationChange
from convoke.domain.accounts import Account, AccountChange
from convoke.domain.errors import NotAuthenticatedError
from convoke.domain.instants import Clock
from convoke.domain.receivers import ReceiverRules
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.operations.api_keys import ApiKeyOperations
from convoke.operations.services import new_service
from convoke.storage.accounts import CachedAccounts
from convoke.storage.auth_tokens import AuthTokens

DEFAULT_SERVICE_NAME = "Default Conversations Service"


@dataclass(frozen=True, slots=True)
class AccountOperations:
    accounts: CachedAccounts
    auth_tokens: AuthTokens
    api_keys: ApiKeyOperations
    rules: ReceiverRules
    now: Clock
    new_sid: NewSid

    def authenticate(self, user: str, password: str) -> Account:
        """The account whose credentials these are: its SID and Auth Token, or SID and secret of one of its API keys.

        Raises NotAuthenticatedError, saying no more.
        """
        sid = self._account_of(user, password)
        if sid is None:
            raise NotAuthenticatedError
        return self.accounts.fetch(sid) or self._make(sid)

    def _account_of(self, user: str, password: str) -> str | None:
        if key_sid := parse_sid(user, Prefix.API_KEY):
            return self.api_keys.account_of(key_sid, password)
        sid = parse_sid(user, Prefix.ACCOUNT)
        token = self.auth_tokens.fetch(sid) if sid else None
        return sid if token is not None and hmac.compare_digest(token.encode(), password.encode()) else None

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

        The token comes first: whoever has one has an account, if need be from the first request on. So it does not
        matter when this ends in the middle, or that a deployment makes a token only.
        """
        sid = account_sid or self.new_sid(Prefix.ACCOUNT)
        self.auth_tokens.put(sid, token or new_token())
        return self._make(sid)

    def _make(self, account_sid: str) -> Account:
        """The account with this SID, made by this call or by another that was faster."""
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

    def update(self, account: Account, change: AccountChange) -> Account:
        """Change what was given. Other processes know it as soon as they have forgotten what they remember.

        Raises InvalidWebhookSettingsError.
        """
        if isinstance(change, AccountConfigurationChange):
            self.rules.refuse({("error_log_url",): change.error_log_url})
        return self.accounts.update(account.sid, change) if change.model_fields_set else account

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
